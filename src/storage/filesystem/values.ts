/** Looking at what is stored: small values whole, what the store knows of a key, and big values opened for copying. */
import type { Stats } from 'node:fs'
import { checkRange } from '../checked.ts'
import type { ByteRange, ObjectStat, OpenBytes, StoredValue } from '../driver.ts'
import { openBytes } from './copy.ts'
import { requireFolder } from './directories.ts'
import type { Disk } from './disk.ts'
import { isMissing } from './errors.ts'
import type { Place } from './paths.ts'
import { withNewest } from './records.ts'

export function readValue(disk: Disk, place: Place): Promise<StoredValue | undefined> {
  const { calls, maxValueBytes } = disk
  return withFile(disk, place, async (path, version) => {
    const file = await calls.openRead(path)
    try {
      const stats = await calls.statFile(file)
      if (!stats.isFile()) return undefined
      if (stats.size > maxValueBytes) {
        throw new Error(`${place.key} has ${stats.size} bytes, more than the ${maxValueBytes} of a value`)
      }
      const bytes = Buffer.allocUnsafeSlow(stats.size)
      const read = stats.size === 0 ? 0 : await calls.readValue(file, bytes)
      if (read !== stats.size) throw new Error(`${place.key} is shorter than the ${stats.size} bytes it has`)
      return { ...describe(stats, version), bytes }
    } finally {
      await calls.close(file)
    }
  })
}

export function statValue(disk: Disk, place: Place): Promise<ObjectStat | undefined> {
  return withFile(disk, place, async (path, version) => {
    const stats = await disk.calls.stat(path)
    return stats.isFile() ? describe(stats, version) : undefined
  })
}

export function openValue(disk: Disk, place: Place, range: ByteRange): Promise<OpenBytes | undefined> {
  const { calls, buffers } = disk
  return withFile(disk, place, async (path) => {
    const file = await calls.openRead(path)
    let opened: OpenBytes | undefined
    try {
      const stats = await calls.statFile(file)
      if (!stats.isFile()) return undefined
      checkRange(place.key, range, stats.size)
      opened = openBytes({ calls, buffers }, file, place.key, range)
      return opened
    } finally {
      if (opened === undefined) await calls.close(file)
    }
  })
}

/** Runs `use` with the file of a key; absent → `undefined`. `use` says `undefined` to a directory: then other keys begin with this one. */
function withFile<T>(
  disk: Disk,
  place: Place,
  use: (path: string, version?: string) => Promise<T>,
): Promise<T | undefined> {
  return place.kind === 'record' ? withNewest(disk, place, use) : withPlain(disk, place, use)
}

async function withPlain<T>(disk: Disk, place: Place, use: (path: string) => Promise<T>): Promise<T | undefined> {
  try {
    return await use(place.path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  await requireFolder(disk, place.top)
  return undefined
}

/**
 * `modified` is ctime, which only the kernel sets, also when a file is moved to its place. A plain file is never changed in its place, so
 * its number and the time its bytes were written name its content.
 */
function describe(stats: Stats, version = `${stats.ino}-${stats.mtimeMs}-${stats.size}`): ObjectStat {
  return { size: stats.size, modified: stats.ctimeMs, version }
}
