/**
 * Creating a record when there is none. Who would create it first shows a candidate `.c-<random>` in its directory. Only who is then alone,
 * with no file there, may call his `0-<random>`; a publisher begins at 1 and wins against it. Two cannot both be alone: the later of two
 * candidates sees the earlier one, or what became of it.
 *
 * A candidate may be removed by anybody at any time: its owner then cannot rename it and begins anew.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { bring, removeEmpty, syncNames, temporaryGone } from './directories.ts'
import type { Disk } from './disk.ts'
import { codeOf, isMissing } from './errors.ts'
import type { Place } from './paths.ts'
import { candidatePrefix, changedTooOften, fileName, findNewest, look, unlink } from './records.ts'

/** A candidate that has been met for so long belongs to a process that was killed, or that can begin anew. */
const patienceMs = 1000

/** The longest pause between two tries; a try takes about a millisecond. */
const maxPauseMs = 64

/** Many times the patience. */
const maxTries = 1000

/** Makes a synced file the value of a record that has none, durably; the file itself stays where it is. */
export async function createRecord(
  disk: Disk,
  source: string,
  place: Place,
  signal: AbortSignal | undefined,
): Promise<'written' | 'exists'> {
  const met = new Map<string, number>()
  try {
    for (let tries = 0; tries < maxTries; tries++) {
      signal?.throwIfAborted()
      const result = await tryCreate(disk, source, place)
      if (result === 'written') return result
      if (result === 'exists') {
        // Our candidate may have kept the directory from whoever removed the value meanwhile.
        await removeEmpty(disk, place)
        return result
      }
      for (const other of result.others) {
        const since = met.get(other) ?? disk.elapsed()
        met.set(other, since)
        if (disk.elapsed() - since > patienceMs) await unlink(disk, `${place.directory}/${other}`)
      }
      await sleep(1 + disk.random() * Math.min(2 ** tries, maxPauseMs))
    }
    throw changedTooOften(place)
  } catch (error) {
    await removeEmpty(disk, place)
    throw error
  }
}

/** Removes the old candidates of a record that has no value, which killed processes left, and its directory. */
export async function tidyCandidates(disk: Disk, place: Place): Promise<void> {
  const seen = await look(disk, place)
  for (const candidate of seen?.candidates ?? []) {
    const path = `${place.directory}/${candidate}`
    try {
      if (disk.now() - (await disk.calls.stat(path)).ctimeMs >= disk.temporaryAgeMs) await unlink(disk, path)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
  if (seen !== undefined) await removeEmpty(disk, place)
}

/** One try; `others` are candidates that have to go first. */
async function tryCreate(
  disk: Disk,
  source: string,
  place: Place,
): Promise<'written' | 'exists' | { readonly others: readonly string[] }> {
  const id = disk.createId()
  const candidate = `${candidatePrefix}${id}`
  const path = `${place.directory}/${candidate}`
  if ((await bring(disk, 'link', source, path, place)) === 'gone') throw temporaryGone(place)
  let isShown = true
  try {
    const seen = await look(disk, place)
    if (seen !== undefined && seen.files.length > 0) {
      await syncNames(disk, place)
      return 'exists'
    }
    const others = seen?.candidates.filter((name) => name !== candidate) ?? []
    if (others.length > 0) return { others }
    await disk.calls.rename(path, `${place.directory}/${fileName(0, id)}`)
    isShown = false
  } catch (error) {
    // Somebody has met our candidate for too long and removed it.
    if (codeOf(error) === 'ENOENT') return { others: [] }
    throw error
  } finally {
    if (isShown) await unlink(disk, path)
  }
  return confirm(disk, fileName(0, id), place)
}

/** Makes the first file durable, and looks whether it is the newest: else somebody published above it, and it is gone after this look. */
async function confirm(disk: Disk, name: string, place: Place): Promise<'written' | 'exists'> {
  await syncNames(disk, place)
  if ((await findNewest(disk, place, name)) !== name) return 'exists'
  disk.remembered.set(place.key, name)
  return 'written'
}
