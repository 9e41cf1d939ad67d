/**
 * Records: values that are replaced and removed only if unchanged, without a lock and without a moment in which they are missing. A record
 * is a directory of files `<n>-<random>`; the last name counts and is the version. The rules, for any number of processes that may be killed
 * or paused anywhere:
 *
 * 1. Who looks (to read, publish or remove) unlinks everything but the newest before he uses it. So whoever returned or acknowledged a value
 *    has seen all older files gone, and no read goes back in time.
 * 2. Therefore a name that was once the newest can be opened directly: the file being there proves that nobody was told anything newer.
 * 3. Who publishes takes the number behind the newest. Of two who take the same, the later name counts; both find out by looking again.
 * 4. A newer name becomes durable before an older file is unlinked.
 * 5. No file: only a successful rmdir proves that there is none. It also clears what a kill left.
 *
 * One look is one `getdents` call for a directory this small, which local file systems answer under the directory's lock and NFS in one
 * reply: a look sees the directory as it was at one moment.
 */
import { StorageError } from '../driver.ts'
import { bring, removeEmpty, requireFolder, syncNames, syncRemoval } from './directories.ts'
import type { Disk } from './disk.ts'
import { isMissing, isNotEmpty } from './errors.ts'
import type { Place } from './paths.ts'
import type { Survives } from './temporary.ts'

/** Names in the directory of a record, each kind in order. */
export interface Look {
  readonly files: readonly string[]
  readonly candidates: readonly string[]
}

/** Names of files that are being made the first of a record (candidates.ts). */
export const candidatePrefix = '.c-'

const filePattern = /^\d{16}-/

/** Against a defect or a hostile file system only: under load a try fails a few times at most. */
const maxTries = 10_000

export function fileName(number: number, id: string): string {
  return `${String(number).padStart(16, '0')}-${id}`
}

/** What is in the directory of a record; `undefined` when there is none. */
export async function look({ calls, looksFirst }: Disk, { directory }: Place): Promise<Look | undefined> {
  if (looksFirst && !(await calls.isThere(directory))) return undefined
  try {
    const names = await calls.readNames(directory)
    return {
      files: names.filter((name) => filePattern.test(name)).sort(),
      candidates: names.filter((name) => name.startsWith(candidatePrefix)),
    }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/**
 * The version of a record, with all older files gone (rule 1); absent → `undefined`. `durable` names a file that is known to survive
 * power loss.
 */
export async function findNewest(disk: Disk, place: Place, durable?: string): Promise<string | undefined> {
  for (let refused = 0; refused < 2; refused++) {
    const seen = await look(disk, place)
    if (seen === undefined) {
      await requireFolder(disk, place.top)
      return undefined
    }
    if (seen.files.length > 0) return keepNewest(disk, place, seen.files, durable)
    try {
      await disk.calls.rmdir(place.directory)
      await removeEmpty(disk, place)
      return undefined
    } catch (error) {
      // On a read-only folder, say, it is not removed, and nobody writes either.
      if (!isNotEmpty(error)) return undefined
    }
  }
  // What is in it twice is no value: a candidate, a stray file, or what NFS keeps of an open file.
  return undefined
}

async function keepNewest(
  disk: Disk,
  place: Place,
  files: readonly string[],
  durable?: string,
): Promise<string | undefined> {
  const newest = files.at(-1)
  const older = files.slice(0, -1)
  if (older.length > 0 && newest !== durable) await disk.syncDirectory(place.directory)
  for (const file of older) await unlink(disk, `${place.directory}/${file}`)
  return newest
}

/** Whether there is a value; it is durable then. */
export async function isRecordThere(disk: Disk, place: Place): Promise<boolean> {
  if ((await findNewest(disk, place)) === undefined) return false
  await syncNames(disk, place)
  return true
}

/**
 * Runs `use` with the path of the newest file and its version; absent → `undefined`. When `use` rejects because the file is missing, it has
 * been replaced meanwhile, and `use` runs again.
 */
export async function withNewest<T>(
  disk: Disk,
  place: Place,
  use: (path: string, version: string) => Promise<T>,
): Promise<T | undefined> {
  let version = disk.remembered.get(place.key)
  for (let tries = 0; tries < maxTries; tries++) {
    version ??= await findNewest(disk, place)
    if (version === undefined) return undefined
    try {
      const result = await use(`${place.directory}/${version}`, version)
      disk.remembered.set(place.key, version)
      return result
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    disk.remembered.delete(place.key)
    version = undefined
  }
  throw changedTooOften(place)
}

/** Makes a file, which must be synced, the newest value, durably. `gone` when the file is not there (any more). */
export async function publish(disk: Disk, source: string, place: Place): Promise<'done' | 'gone'> {
  const last = (await look(disk, place))?.files.at(-1)
  const name = fileName(last === undefined ? 1 : numberOf(last) + 1, disk.createId())
  if ((await bring(disk, 'rename', source, `${place.directory}/${name}`, place)) === 'gone') return 'gone'
  await syncNames(disk, place)
  const newest = await findNewest(disk, place, name)
  if (newest !== undefined) disk.remembered.set(place.key, newest)
  return 'done'
}

/** Removes the value, or only this version. */
export async function removeRecord(
  disk: Disk,
  place: Place,
  version: string | undefined,
  survives: Survives,
): Promise<'removed' | 'absent' | 'changed'> {
  for (let tries = 0; tries < maxTries; tries++) {
    const newest = await findNewest(disk, place)
    if (newest === undefined) return 'absent'
    if (version !== undefined && newest !== version) return 'changed'
    if ((await unlink(disk, `${place.directory}/${newest}`)) === 'gone') continue
    disk.remembered.delete(place.key)
    const lowest = await removeEmpty(disk, place)
    if (survives === 'power loss') await syncRemoval(disk, place, lowest)
    return 'removed'
  }
  throw changedTooOften(place)
}

export async function unlink({ calls }: Disk, path: string): Promise<'done' | 'gone'> {
  try {
    await calls.unlink(path)
    return 'done'
  } catch (error) {
    if (isMissing(error)) return 'gone'
    throw error
  }
}

export function changedTooOften({ key }: Place): StorageError {
  return new StorageError('unavailable', `${key} changed too often to be reached`)
}

function numberOf(name: string): number {
  return Number(name.slice(0, 16))
}
