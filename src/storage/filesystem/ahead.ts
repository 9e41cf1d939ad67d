/** The bytes of entries that are to be promoted: synced while other work goes on, so that the promote has not to wait for it. */
import type { Disk } from './disk.ts'
import { codeOf } from './errors.ts'

/** Starts to sync an entry that this process has just written. A failure is told at its promote. */
export function syncAhead(disk: Disk, path: string): void {
  const syncing = syncBytes(disk, path)
  syncing.catch(() => undefined)
  disk.ahead.set(path, syncing)
}

/**
 * Makes the bytes of an entry durable; `gone` when it is not there. A failure stays: the system tells it once, and says "synced" when it is asked
 * again.
 */
export async function requireBytes(disk: Disk, path: string): Promise<'synced' | 'gone'> {
  const syncing = disk.ahead.get(path) ?? syncBytes(disk, path)
  const outcome = await syncing
  disk.ahead.delete(path)
  return outcome
}

async function syncBytes({ calls }: Disk, path: string): Promise<'synced' | 'gone'> {
  let file: number
  try {
    file = await calls.openRead(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return 'gone'
  }
  try {
    await calls.syncData(file)
  } finally {
    await calls.close(file)
  }
  return 'synced'
}
