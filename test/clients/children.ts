/** The processes of a server under test. */
import { readFileSync } from 'node:fs'

/** Processes that a process has started and that have not ended. */
export function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Whether a process beside a server sweeps; else it answers requests. */
export function isSweeper(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('sweeper')
  } catch {
    return false
  }
}
