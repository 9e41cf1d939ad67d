/** CPU time of a server: the process and everything it has started, from `/proc`. */
import { readdir, readFile } from 'node:fs/promises'
import { run } from '../clients/process.ts'

/** Reads the CPU seconds that a process tree has used so far, user and system together. */
export type ReadCpu = () => Promise<number>

interface ProcessTimes {
  readonly pid: number
  readonly parent: number
  readonly ticks: number
}

export async function createCpuReader(root: number): Promise<ReadCpu> {
  const ticksPerSecond = Number(await run('getconf', ['CLK_TCK']))
  return async () => {
    const processes = await readProcesses()
    const tree = new Set([root])
    // Parents may come after their children in the list: look until nobody is added.
    for (let size = 0; size !== tree.size;) {
      size = tree.size
      for (const { pid, parent } of processes) if (tree.has(parent)) tree.add(pid)
    }
    return processes.reduce((sum, { pid, ticks }) => sum + (tree.has(pid) ? ticks : 0), 0) / ticksPerSecond
  }
}

async function readProcesses(): Promise<ProcessTimes[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')))
  return stats.filter((stat) => stat !== '').map((stat) => parseStat(stat))
}

/** proc(5), `/proc/pid/stat`: the name in parentheses may hold anything, so count from behind it. */
function parseStat(stat: string): ProcessTimes {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3])
  return {
    pid: Number.parseInt(stat, 10),
    parent: field(4),
    // utime, stime and those of children that have ended.
    ticks: field(14) + field(15) + field(16) + field(17),
  }
}
