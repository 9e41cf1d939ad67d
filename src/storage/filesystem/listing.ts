/** Lists keys in byte order by walking the directories below a prefix. */
import type { Stats } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ListEntry, Listing, ListOptions } from '../driver.ts'
import { lastSkipped } from '../keys.ts'
import { tidyCandidates } from './candidates.ts'
import { type Children, childrenOf } from './children.ts'
import { removeEmpty } from './directories.ts'
import type { Disk } from './disk.ts'
import { isMissing } from './errors.ts'
import type { Place } from './paths.ts'
import { findNewest } from './records.ts'

/** What is wanted of a walk, and what it has found. */
interface Walk {
  readonly disk: Disk
  readonly after: string
  readonly want: number
  readonly mode: 'whole' | 'folded'
  readonly times: boolean
  readonly signal: AbortSignal | undefined
  readonly entries: ListEntry[]
}

/** How many entries are looked at on the event loop before others have their turn. */
const turnEntries = 100

/** `Driver.list`. */
export async function listKeys(disk: Disk, prefix: string, options: ListOptions): Promise<Listing> {
  const { limit, delimiter, times = false, signal } = options
  const entries: ListEntry[] = []
  const after = lastSkipped(prefix, options.after)
  const mode = delimiter === undefined ? 'whole' : 'folded'
  await walk(prefix, { disk, after, want: limit + 1, mode, times, signal, entries })
  const more = entries.length > limit
  return { entries: more ? entries.slice(0, limit) : entries, more, now: disk.now() }
}

async function walk(prefix: string, wanted: Walk): Promise<void> {
  const { disk, after, want, mode, times, signal, entries } = wanted
  signal?.throwIfAborted()
  const children = await childrenOf(disk, prefix)
  if (children.length === 0 && times) await removeLeftover(disk, prefix)
  for (let index = firstIndex(children, prefix, after); index < children.length; index++) {
    if (entries.length >= want) return
    const key = `${prefix}${children[index]}`
    if (!key.endsWith('/')) {
      if (times) await addWithTime(key, wanted)
      else entries.push({ key })
    } else if (mode === 'whole') {
      await walk(key, wanted)
    } else if (await hasKey(key, wanted)) {
      entries.push({ key })
    }
  }
}

async function hasKey(prefix: string, wanted: Walk): Promise<boolean> {
  const entries: ListEntry[] = []
  await walk(prefix, { ...wanted, want: 1, mode: 'whole', times: false, entries })
  return entries.length > 0
}

/** Adds a key, or not when it turns out to be absent. */
async function addWithTime(key: string, { disk, entries }: Walk): Promise<void> {
  const place = disk.paths.placeOf(key)
  const stats = await findStats(disk, place)
  if (stats !== undefined) entries.push({ key, modified: stats.ctimeMs, size: stats.size })
  if (entries.length % turnEntries === 0) await nextTurn()
}

async function findStats(disk: Disk, place: Place): Promise<Stats | undefined> {
  for (;;) {
    const version = place.kind === 'record' ? await findNewest(disk, place) : undefined
    if (place.kind === 'record' && version === undefined) {
      await tidyCandidates(disk, place)
      return undefined
    }
    try {
      return await disk.calls.stat(version === undefined ? place.path : `${place.path}/${version}`)
    } catch (error) {
      if (!isMissing(error)) throw error
      // A record that was replaced in between is looked at again; a plain key is gone.
      if (version === undefined) return undefined
    }
  }
}

/** Removes a directory that a kill left empty; a writer who has just made it makes it again. */
async function removeLeftover(disk: Disk, prefix: string): Promise<void> {
  if (prefix === '') return
  const rule = disk.rules.ruleOf(prefix)
  if (prefix.split('/').length - 1 <= (rule.kind === 'record' ? rule.fixed : 1)) return
  await removeEmpty(disk, { ...disk.paths.placeOf(prefix), directory: disk.paths.directoryOf(prefix) })
}

/** The first child that is behind `after`, or may hold keys that are. */
function firstIndex(children: Children, prefix: string, after: string): number {
  if (after <= prefix) return 0
  if (!after.startsWith(prefix)) return children.length
  const rest = after.slice(prefix.length)
  let low = 0
  let high = children.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((children[middle] ?? '') <= rest) low = middle + 1
    else high = middle
  }
  // The child before may be the directory that `after` lies in: it sorts before everything in it.
  const before = children[low - 1]
  return before?.endsWith('/') && rest.startsWith(before) ? low - 1 : low
}
