/** Plain keys: one file each, moved to its place when it is whole. */
import { bring, createAt, removeEmpty, requireFolder, syncNames, syncRemoval, temporaryGone } from './directories.ts'
import type { Disk } from './disk.ts'
import { codeOf, isMissing } from './errors.ts'
import type { Place } from './paths.ts'
import type { Survives } from './temporary.ts'

/** Moves a whole file to its place, replacing what is there. */
export async function replacePlain(disk: Disk, source: string, place: Place, survives: Survives): Promise<void> {
  await bringWhole(disk, 'rename', source, place)
  await settle(disk, place, survives)
}

/** Makes an empty file, which is whole at once and comes with its name, at its place; `exists` when something is there. */
export async function createEmpty(disk: Disk, place: Place, survives: Survives): Promise<'written' | 'exists'> {
  const file = await createAt(disk, place)
  if (file === undefined) return 'exists'
  // Nothing was written that a close could fail to write.
  await disk.calls.close(file).catch(() => undefined)
  await settle(disk, place, survives)
  return 'written'
}

/**
 * Moves a whole file, which is open as `file`, to a key that was never used. Its bytes and its name become durable together: until then nobody knows
 * the key, so it does not matter that power loss may leave the name and not the bytes.
 */
export async function placeStreamed(disk: Disk, source: string, file: number, place: Place): Promise<void> {
  const { calls, keepsNameOrder } = disk
  await bringWhole(disk, 'rename', source, place)
  try {
    // The move has changed the file, too: where the order is kept, what makes that durable makes the new name durable.
    await (keepsNameOrder ? calls.sync(file) : Promise.all([calls.syncData(file), syncNames(disk, place)]))
  } catch (error) {
    await calls.unlink(place.path).catch(() => undefined)
    await removeEmpty(disk, place)
    throw error
  }
}

/** Puts a whole file at its place when nothing is there; the file itself stays where it is. */
export async function createPlain(
  disk: Disk,
  source: string,
  place: Place,
  survives: Survives,
): Promise<'written' | 'exists'> {
  const brought = await bringWhole(disk, 'link', source, place)
  await settle(disk, place, survives)
  if (brought === 'done') return 'written'
  // A network mount may have lost the answer to a link that succeeded, and tried again.
  return (await inodeOf(disk, source)) === (await inodeOf(disk, place.path)) ? 'written' : 'exists'
}

/** Whether there is a value; then its name is durable, if asked. */
export async function isPlainThere(disk: Disk, place: Place, survives: Survives): Promise<boolean> {
  if (!(await disk.calls.isThere(place.path))) return false
  await settle(disk, place, survives)
  return true
}

/** Removes the file. */
export async function removePlain(disk: Disk, place: Place, survives: Survives): Promise<'removed' | 'absent'> {
  try {
    await disk.calls.unlink(place.path)
  } catch (error) {
    // EISDIR: other keys begin with this one.
    if (!isMissing(error) && codeOf(error) !== 'EISDIR') throw error
    await requireFolder(disk, place.top)
    return 'absent'
  }
  const lowest = await removeEmpty(disk, place)
  if (survives === 'power loss') await syncRemoval(disk, place, lowest)
  return 'removed'
}

async function settle(disk: Disk, place: Place, survives: Survives): Promise<void> {
  if (survives === 'power loss') await syncNames(disk, place)
}

async function bringWhole(disk: Disk, how: 'rename' | 'link', source: string, place: Place) {
  const brought = await bring(disk, how, source, place.path, place)
  if (brought !== 'gone') return brought
  throw temporaryGone(place)
}

async function inodeOf({ calls }: Disk, path: string): Promise<number | undefined> {
  try {
    return (await calls.stat(path)).ino
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
