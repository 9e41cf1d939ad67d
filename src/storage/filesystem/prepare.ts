/** Making a folder ready at the start, and saying in one sentence why it cannot be. Costs the same whatever the folder holds. */
import { dirname } from 'node:path'
import { type KeySpace, StorageError } from '../driver.ts'
import type { Calls } from './calls.ts'
import type { Disk } from './disk.ts'
import { codeOf, isFull } from './errors.ts'

/**
 * Makes the folder, its top-level directories and the place for temporary files, durably. Throws an Error with one sentence for the operator
 * when that is impossible, or when the folder holds other things and nothing of ours.
 */
export async function prepareFolder({ calls, paths, syncDirectory }: Disk, keySpace: KeySpace): Promise<void> {
  const { root } = paths
  const prefixes = [...keySpace.plain, ...keySpace.records.map(({ prefix }) => prefix)]
  try {
    const parents = await makeWithParents(calls, root)
    await refuseForeign(calls, root, [...keySpace.singles, ...prefixes.map((prefix) => prefix.slice(0, -1))])
    await makeOne(calls, paths.temporary)
    for (const directory of prefixes.map(paths.directoryOf)) {
      await makeOne(calls, directory)
      await requireSameDisk(calls, directory, paths.temporary)
    }
    await Promise.all([root, ...parents].map(syncDirectory))
  } catch (error) {
    throw explain(root, error)
  }
}

/** Returns the directories that got a new name in them. */
async function makeWithParents(calls: Calls, directory: string): Promise<string[]> {
  const parent = dirname(directory)
  try {
    return (await makeOne(calls, directory)) === 'made' ? [parent] : []
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || parent === directory) throw error
  }
  const above = await makeWithParents(calls, parent)
  await makeOne(calls, directory)
  return [...above, parent]
}

async function makeOne(calls: Calls, directory: string): Promise<'made' | 'found'> {
  try {
    await calls.mkdir(directory)
    return 'made'
  } catch (error) {
    // EROFS: the directory may be there all the same, and a read-only folder can be read.
    if (codeOf(error) !== 'EEXIST' && codeOf(error) !== 'EROFS') throw error
    const found = await calls.stat(directory).catch(() => undefined)
    if (found?.isDirectory()) return 'found'
    if (found !== undefined) throw new Error(`${directory} is not a folder`, { cause: error })
    throw error
  }
}

/** Files are moved between the directories, which is possible on one file system only. */
async function requireSameDisk(calls: Calls, directory: string, other: string): Promise<void> {
  if ((await calls.stat(directory)).dev === (await calls.stat(other)).dev) return
  throw new Error(`${directory} and ${other} are on two file systems; the whole folder must be on one`)
}

async function refuseForeign(calls: Calls, root: string, own: readonly string[]): Promise<void> {
  // `lost+found` is in the root of every ext4 file system.
  const names = (await calls.readNames(root)).filter((name) => !name.startsWith('.') && name !== 'lost+found')
  if (names.length === 0 || names.some((name) => own.includes(name))) return
  throw new Error(
    `the folder ${root} holds something else (${JSON.stringify(names.sort()[0])}); an empty one is needed`,
  )
}

function explain(root: string, error: unknown): unknown {
  const code = codeOf(error)
  if (code === undefined) return error
  const sentence = (why: string) => `the folder ${root} cannot be created or written: ${why}`
  if (isFull(error)) return new StorageError('full', sentence('there is no room'), { cause: error })
  if (code === 'EROFS') return new StorageError('read-only', sentence('the file system is read-only'), { cause: error })
  if (code === 'EACCES' || code === 'EPERM') {
    return new StorageError('unavailable', sentence('permission is denied'), { cause: error })
  }
  if (code === 'ENOTDIR') return new StorageError('unavailable', sentence('a file is in its way'), { cause: error })
  return new StorageError('unavailable', sentence(code), { cause: error })
}
