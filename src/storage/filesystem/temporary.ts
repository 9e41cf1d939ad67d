/**
 * Files on their way into the store. They lie in one directory of their own, so that what a killed process left is found without walking
 * the store.
 */
import type { Calls } from './calls.ts'
import type { Disk } from './disk.ts'
import { isMissing } from './errors.ts'

/** What a write must survive. */
export type Survives = 'power loss' | 'kill'

/** A file that is being written. */
export interface OpenTemporary {
  readonly path: string
  readonly file: number
}

export async function createTemporary({ calls, paths, createId }: Disk): Promise<OpenTemporary> {
  const path = `${paths.temporary}/${createId()}`
  return { path, file: await calls.create(path) }
}

/** Removes a temporary file; never rejects, because what it leaves is removed by `tidyTemporary`. */
export async function dropTemporary({ calls }: Disk, path: string): Promise<void> {
  await calls.unlink(path).catch(() => undefined)
}

/** Lets `write` fill a temporary file, syncs it if asked and closes it; returns its path. A failure leaves nothing behind. */
export async function fillTemporary(
  disk: Disk,
  survives: Survives,
  write: (file: number) => Promise<void>,
): Promise<string> {
  const { path, file } = await createTemporary(disk)
  try {
    try {
      await write(file)
      if (survives === 'power loss') await disk.calls.syncData(file)
    } finally {
      await disk.calls.close(file)
    }
  } catch (error) {
    await dropTemporary(disk, path)
    throw error
  }
  return path
}

/** A temporary file with a whole value. */
export function writeTemporary(disk: Disk, bytes: Uint8Array, survives: Survives): Promise<string> {
  return fillTemporary(disk, survives, (file) => writeAll(disk.calls, file, [bytes], 0))
}

/** Removes leftovers of killed processes, old by the store's own clock: a network mount need not agree with ours. Returns how many. */
export async function tidyTemporary(disk: Disk, signal: AbortSignal | undefined): Promise<number> {
  const { calls, paths, temporaryAgeMs } = disk
  const names = await calls.readNames(paths.temporary)
  if (names.length === 0) return 0
  const probe = await createTemporary(disk)
  const { ctimeMs: now } = await calls.statFile(probe.file)
  await calls.close(probe.file)
  await dropTemporary(disk, probe.path)
  let removed = 0
  for (const name of names) {
    signal?.throwIfAborted()
    try {
      const path = `${paths.temporary}/${name}`
      if (now - (await calls.stat(path)).ctimeMs < temporaryAgeMs) continue
      await calls.unlink(path)
      removed++
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
  return removed
}

/** Writes all chunks at a position; a short write is legal and gone on with. */
export async function writeAll(
  calls: Calls,
  file: number,
  chunks: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let at = position
  let rest = chunks.filter((chunk) => chunk.length > 0)
  while (rest.length > 0) {
    const written = await calls.write(file, rest, at)
    at += written
    rest = behind(rest, written)
  }
}

/** What is left of the chunks behind their first `bytes`. */
function behind(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  const first = chunks.findIndex((chunk) => {
    if (left < chunk.length) return true
    left -= chunk.length
    return false
  })
  if (first < 0) return []
  return chunks.slice(first).map((chunk, index) => (index === 0 ? chunk.subarray(left) : chunk))
}
