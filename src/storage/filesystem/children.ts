/** What is in one directory, as keys and further directories in byte order; kept as long as it is proven to be right. */
import type { Dirent, Stats } from 'node:fs'
import { isSegment, type KeyRules } from '../keys.ts'
import { requireFolder } from './directories.ts'
import type { Disk } from './disk.ts'
import { isMissing } from './errors.ts'

/**
 * What may follow a prefix up to the next `/`, in order: `x` is a key, `x/` is a directory that may hold keys. Written so, the order of
 * these is the order of the keys behind them (`a!` before `a/…` before `a0`).
 */
export type Children = readonly string[]

/** Younger directories may change again within the resolution of their time stamp: up to 2 s on old file systems. */
const settledMs = 2000

/** The children of a prefix; none when there is no such directory. */
export async function childrenOf(disk: Disk, prefix: string): Promise<Children> {
  try {
    return await readChildren(disk, prefix)
  } catch (error) {
    if (!isMissing(error)) throw error
    await requireFolder(disk, disk.paths.directoryOf(prefix.slice(0, prefix.indexOf('/') + 1)))
    return []
  }
}

function stampOf({ ino, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${mtimeMs} ${ctimeMs}`
}

function isSettled({ now }: Disk, { mtimeMs }: Stats): boolean {
  return now() - mtimeMs > settledMs
}

/** `Driver.stamp`: of a directory that is not there, too. */
export async function stampChildren(disk: Disk, prefix: string): Promise<string | undefined> {
  try {
    const stats = await disk.calls.stat(disk.paths.directoryOf(prefix))
    return isSettled(disk, stats) ? stampOf(stats) : undefined
  } catch (error) {
    if (!isMissing(error)) throw error
    await requireFolder(disk, disk.paths.directoryOf(prefix.slice(0, prefix.indexOf('/') + 1)))
    return 'absent'
  }
}

async function readChildren(disk: Disk, prefix: string): Promise<Children> {
  const { calls, paths, rules, kept, keptFrom } = disk
  const directory = paths.directoryOf(prefix)
  const stats = await calls.stat(directory)
  const stamp = stampOf(stats)
  const known = kept?.get(directory)
  if (known?.stamp === stamp) return known.children
  // The stamp is older than the names: with a change in between it differs at the next look.
  const settled = isSettled(disk, stats)
  const toChild = prefix === '' ? topChild(rules) : innerChild(rules, prefix)
  const found: string[] = []
  for (const entry of await calls.readEntries(directory, stats.size)) {
    const child = isSegment(entry.name) ? toChild(entry) : undefined
    if (child !== undefined) found.push(child)
  }
  // A new array has the length that is needed, not room for more.
  const children = found.toSorted()
  // An empty one is about to go, most of the time, and read in no time.
  if (settled && children.length >= keptFrom) kept?.set(directory, { stamp, children })
  return children
}

type ToChild = (entry: Dirent) => string | undefined

function topChild(rules: KeyRules): ToChild {
  return (entry) => {
    if (entry.isFile()) return rules.find(entry.name)?.kind === 'single' ? entry.name : undefined
    return entry.isDirectory() && rules.find(`${entry.name}/`) !== undefined ? `${entry.name}/` : undefined
  }
}

/** `undefined` for what can be no part of a key: a stray file, or a file of a record. */
function innerChild(rules: KeyRules, prefix: string): ToChild {
  const rule = rules.ruleOf(prefix)
  if (rule.kind !== 'record') {
    return (entry) => (entry.isFile() ? entry.name : entry.isDirectory() ? `${entry.name}/` : undefined)
  }
  const missing = rule.depth - (prefix.split('/').length - 1)
  if (missing < 1) return () => undefined
  return (entry) => (entry.isDirectory() ? (missing === 1 ? entry.name : `${entry.name}/`) : undefined)
}
