/** Making, removing and syncing the directories of a key, against other processes that do the same at the same moment. */
import { dirname } from 'node:path'
import { StorageError } from '../driver.ts'
import type { Disk } from './disk.ts'
import { codeOf, isMissing } from './errors.ts'
import type { Place } from './paths.ts'

/** How often the directories may vanish again while something is put there: others remove them a few times at most. */
const maxTries = 1000

/**
 * Brings a file to its place, making the directories. `gone` when the source is not there (any more), `exists` when a link finds its target
 * there. A failure leaves no directory behind.
 */
export async function bring(
  disk: Disk,
  how: 'rename' | 'link',
  source: string,
  target: string,
  place: Place,
): Promise<'done' | 'gone' | 'exists'> {
  try {
    return await bringOrFail(disk, how, source, target, place)
  } catch (error) {
    await removeEmpty(disk, place)
    throw error
  }
}

async function bringOrFail(disk: Disk, how: 'rename' | 'link', source: string, target: string, place: Place) {
  await makeMissing(disk, place.directory, place)
  for (let tries = 0; tries < maxTries; tries++) {
    try {
      await disk.calls[how](source, target)
      return 'done'
    } catch (error) {
      if (how === 'link' && codeOf(error) === 'EEXIST') return 'exists'
      if (codeOf(error) !== 'ENOENT') throw error
    }
    // Either the source is gone, or a directory: whoever removes a last file removes the directories, too.
    if (!(await disk.calls.isThere(source))) {
      await removeEmpty(disk, place)
      return 'gone'
    }
    await make(disk, place.directory, place)
  }
  throw cannotMake(place)
}

/** Creates a file at its place and opens it, making the directories; `undefined` when something is there. A failure leaves no directory behind. */
export async function createAt(disk: Disk, place: Place): Promise<number | undefined> {
  try {
    await makeMissing(disk, place.directory, place)
    for (let tries = 0; tries < maxTries; tries++) {
      try {
        return await disk.calls.create(place.path)
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return undefined
        if (codeOf(error) !== 'ENOENT') throw error
      }
      await make(disk, place.directory, place)
    }
    throw cannotMake(place)
  } catch (error) {
    await removeEmpty(disk, place)
    throw error
  }
}

/** A directory is there and is not: a link that leads nowhere, say. */
function cannotMake({ directory }: Place): StorageError {
  return new StorageError('unavailable', `nothing can be made in ${directory}`)
}

/**
 * Makes the directories of a place that are missing, from the top down, where looking costs next to nothing: what fails for want of them costs an error
 * each time. Others may remove them again: who puts something there makes them again.
 */
async function makeMissing(disk: Disk, directory: string, place: Place): Promise<void> {
  if (!disk.looksFirst || directory === place.top || (await disk.calls.isThere(directory))) return
  await makeMissing(disk, dirname(directory), place)
  await make(disk, directory, place)
}

/** Nothing at or above the top is made here: on a disk that is not mounted that would begin a second store. */
async function make(disk: Disk, directory: string, place: Place): Promise<void> {
  if (directory === place.top) return requireFolder(disk, place.top)
  for (;;) {
    try {
      return await disk.calls.mkdir(directory)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return undefined
      if (codeOf(error) !== 'ENOENT') throw error
    }
    await make(disk, dirname(directory), place)
  }
}

/** Removes the directories of a place that are empty, up to those that stay for good; returns the lowest that stays. */
export async function removeEmpty({ calls }: Disk, { directory, fixed }: Place): Promise<string> {
  let lowest = directory
  while (lowest !== fixed) {
    try {
      await calls.rmdir(lowest)
    } catch (error) {
      if (!isMissing(error)) return lowest
    }
    lowest = dirname(lowest)
  }
  return lowest
}

/**
 * Makes the names on the way to a place durable: also those that were found there, because another process may have made them a moment ago.
 * The fixed directories are synced once. Where the file system keeps the order, the lowest brings all above.
 */
export async function syncNames(disk: Disk, { directory, fixed }: Place): Promise<void> {
  if (disk.keepsNameOrder) {
    await disk.syncDirectory(directory)
    return
  }
  const last = disk.syncedFixed.has(fixed) ? fixed : disk.paths.root
  const chain = [directory]
  for (let above = directory; above !== last; chain.push(above)) above = dirname(above)
  await Promise.all(chain.map(disk.syncDirectory))
  disk.syncedFixed.add(fixed)
}

/** Makes a removal durable: `lowest` is what `removeEmpty` left. */
export async function syncRemoval({ syncDirectory }: Disk, { fixed }: Place, lowest: string): Promise<void> {
  let directory = lowest
  while ((await syncDirectory(directory)) === 'gone' && directory !== fixed) directory = dirname(directory)
}

/** Rejects when the folder itself has vanished (a disk that is not mounted), so that this never looks like an empty store. */
export async function requireFolder({ calls }: Disk, top: string): Promise<void> {
  if (!(await calls.isThere(top))) throw new StorageError('unavailable', `the folder ${top} is not there`)
}

/** What is said when a temporary file vanished under its writer: tidied away because nothing was written to it for an hour. */
export function temporaryGone({ key }: Place): StorageError {
  return new StorageError('unavailable', `what was to become ${key} has been removed`)
}
