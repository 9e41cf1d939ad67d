/** fsync of directories, shared by everybody who needs one at the same time. */
import { StorageError } from '../driver.ts'
import type { Calls } from './calls.ts'
import { codeOf, isMissing } from './errors.ts'

/** Makes the names in a directory durable; `gone` when there is no such directory (any more). */
export type SharedSync = (directory: string) => Promise<'synced' | 'gone'>

/**
 * Whoever comes while a sync of his directory is running waits for one that begins after it, because the running one may have begun before
 * his change; so does everybody else who comes in that time.
 */
export function createSharedSync(calls: Calls): SharedSync {
  const syncs = new Map<
    string,
    { readonly running: ReturnType<SharedSync>; next: ReturnType<SharedSync> | undefined }
  >()

  function start(directory: string): ReturnType<SharedSync> {
    const running = sync(calls, directory).finally(() => {
      if (syncs.get(directory)?.running === running) syncs.delete(directory)
    })
    syncs.set(directory, { running, next: undefined })
    return running
  }

  return (directory) => {
    const current = syncs.get(directory)
    if (current === undefined) return start(directory)
    current.next ??= current.running.then(
      () => start(directory),
      () => start(directory),
    )
    return current.next
  }
}

async function sync(calls: Calls, directory: string): Promise<'synced' | 'gone'> {
  try {
    const file = await calls.openRead(directory)
    try {
      await calls.sync(file)
    } finally {
      await calls.close(file)
    }
    return 'synced'
  } catch (error) {
    if (isMissing(error)) return 'gone'
    // Some network and FUSE mounts refuse to sync a directory; they have nothing to be synced.
    if (codeOf(error) === 'EINVAL' || codeOf(error) === 'ENOTSUP') return 'synced'
    // Never "full": what is to be synced has happened already.
    throw new StorageError('unavailable', `syncing ${directory} failed: ${codeOf(error)}`, { cause: error })
  }
}
