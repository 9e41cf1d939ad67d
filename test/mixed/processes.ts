/** What a server and all processes that it has started take of the machine now, from `/proc`: memory and open files. */
import { readdir, readFile } from 'node:fs/promises'

const kibibyte = 1024

export type Kind = 'server' | 'worker' | 'sweeper'

export interface Taken {
  readonly pid: number
  readonly kind: Kind
  /** Of a page that several share its part, so that a sum counts it once. proc(5), `Pss`. */
  readonly bytes: number
  /** Files, sockets and pipes. */
  readonly files: number
}

async function readChildren(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

async function readTaken(pid: number, root: number): Promise<Taken> {
  const [rollup, files, command] = await Promise.all([
    readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => ''),
    readdir(`/proc/${pid}/fd`).catch(() => []),
    readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
  ])
  const bytes = Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * kibibyte
  const other = command.split('\0').includes('sweeper') ? 'sweeper' : 'worker'
  return { pid, kind: pid === root ? 'server' : other, bytes, files: files.length }
}

/** Of each process of a tree; those that it has started at any moment, so a new one is seen as soon as it is there. */
export async function readTree(root: number): Promise<readonly Taken[]> {
  const tree = [root]
  // Grows while it is gone through.
  for (const pid of tree) tree.push(...(await readChildren(pid)))
  return Promise.all(tree.map((pid) => readTaken(pid, root)))
}
