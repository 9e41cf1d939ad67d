/** Memory of a server: the process and everything it has started, from `/proc`. */
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const kibibyte = 1024

/** Whose child a process is; nothing when it has ended. */
async function readParent(pid: string): Promise<{ readonly pid: number; readonly parent: number } | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const [, parent] = /^PPid:\s+(\d+)$/m.exec(status) ?? []
  if (parent === undefined) return undefined
  return { pid: Number(pid), parent: Number(parent) }
}

/** What a process has in memory: of a page that several share its part, so that a sum counts it once. proc(5), `Pss`. */
async function readBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * kibibyte
}

/** The memory of each process of a tree now, largest first. */
export async function readMemory(root: number): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const processes = (await Promise.all(pids.map(readParent))).filter((each) => each !== undefined)
  const tree = new Set([root])
  // Parents may come after their children in the list: look until nobody is added.
  for (let size = 0; size !== tree.size;) {
    size = tree.size
    for (const { pid, parent } of processes) if (tree.has(parent)) tree.add(pid)
  }
  return (await Promise.all([...tree].map(readBytes))).sort((a, b) => b - a)
}

export interface Peak {
  /** The most that the whole tree had at one moment, and what each process had then; in bytes, largest first. */
  readonly bytes: number
  readonly each: readonly number[]
}

/** Looks at a process tree every `intervalMs` until it is told to stop. */
export function watchMemory(root: number, intervalMs: number): () => Promise<Peak> {
  let peak: Peak = { bytes: 0, each: [] }
  const stop = new AbortController()
  const watching = (async () => {
    while (!stop.signal.aborted) {
      const each = await readMemory(root)
      const bytes = each.reduce((sum, one) => sum + one, 0)
      if (bytes > peak.bytes) peak = { bytes, each }
      await sleep(intervalMs, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  })()
  return async () => {
    stop.abort()
    await watching
    return peak
  }
}
