/** A body of unknown length on its way into the store: chunks are gathered and written together, a mebibyte at a time when there is room. */
import type { ByteWriter, StreamOptions } from '../driver.ts'
import type { Disk } from './disk.ts'
import { translateErrors } from './errors.ts'
import { createTemporary, dropTemporary, writeAll } from './temporary.ts'

/**
 * Opens a writer. `settle` moves the whole file, which is still open, to its place and makes it durable. Memory: one buffer that is gathered and one that is written, as long as the
 * caller waits when he is told to. Measured for one of 1 MiB: 400 MB/s to a disk, durable; syncs in between lose on a busy disk.
 */
export async function createWriter(
  disk: Disk,
  key: string,
  settle: (path: string, file: number) => Promise<void>,
  { signal, onWritten }: StreamOptions,
): Promise<ByteWriter> {
  const { calls, buffers } = disk
  const { path, file } = await createTemporary(disk)
  buffers.begin()
  const gathered = createGathered(disk, file, onWritten)
  const doing = `writing ${key}`
  let state: 'open' | 'ended' = 'open'

  function check(): void {
    signal?.throwIfAborted()
    if (state === 'ended') throw new Error(`the writer of ${key} has ended`)
  }

  async function end(): Promise<void> {
    state = 'ended'
    await gathered.written().catch(() => undefined)
    buffers.end()
    await calls.close(file)
  }

  async function discard(): Promise<void> {
    if (state === 'open') await end().catch(() => undefined)
    await dropTemporary(disk, path)
  }

  async function seal(): Promise<void> {
    check()
    gathered.write()
    await gathered.written()
    check()
    await settle(path, file)
    // The bytes are on the disk: what a close says now changes nothing.
    await end().catch(() => undefined)
  }

  return {
    write(chunk) {
      try {
        check()
        const waiting = gathered.add(chunk)
        return waiting && translateErrors(doing, () => waiting)
      } catch (error) {
        return Promise.reject(error)
      }
    },
    async seal() {
      try {
        await translateErrors(doing, seal)
      } catch (error) {
        await discard()
        throw error
      }
    },
    discard,
  }
}

/** What one call to the system takes (IOV_MAX); a million chunks of one byte would also weigh 200 times what they hold. */
const maxChunks = 1024

/** Gathers chunks and writes them in order, one write at a time; after a failure nothing more is written. */
function createGathered({ calls, buffers }: Disk, file: number, onWritten: StreamOptions['onWritten']) {
  let chunks: Uint8Array[] = []
  let bytes = 0
  let position = 0
  let pending = 0
  let last: Promise<void> = Promise.resolve()

  function write(): void {
    const [these, at, before] = [chunks, position, last]
    position += bytes
    chunks = []
    bytes = 0
    pending++
    last = (async () => {
      await before
      await writeAll(calls, file, these, at)
      pending--
      if (onWritten !== undefined) these.forEach((chunk) => onWritten(chunk))
    })()
    last.catch(() => undefined) // seen by whoever waits next
  }

  return {
    /** Takes a chunk; a promise when one buffer is being written and one is full. */
    add(chunk: Uint8Array): Promise<void> | undefined {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes < buffers.size() && chunks.length < maxChunks) return undefined
      const before = pending > 0 ? last : undefined
      write()
      return before
    },
    /** Starts writing what is gathered. */
    write,
    /** Resolves when everything that was started is written. */
    written: () => last,
  }
}
