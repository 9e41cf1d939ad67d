/** A body of unknown length on its way into the store: chunks are gathered and written a mebibyte at a time. */
import type { ByteWriter, Cancel } from '../driver.ts'
import type { Calls } from './calls.ts'
import type { Disk } from './disk.ts'
import { translateErrors } from './errors.ts'
import { createTemporary, dropTemporary, writeAll } from './temporary.ts'

/** Measured: 400 MB/s to a disk, durable; smaller writes lose, syncs in between lose on a busy disk. */
const writeBytes = 1024 * 1024

/**
 * Opens a writer. `settle` moves the synced file to its place. Memory: a mebibyte that is gathered and one that is written, as long as the
 * caller waits when he is told to.
 */
export async function createWriter(
  disk: Disk,
  key: string,
  settle: (path: string) => Promise<void>,
  { signal }: Cancel,
): Promise<ByteWriter> {
  const { calls } = disk
  const { path, file } = await createTemporary(disk)
  const gathered = createGathered(calls, file)
  const doing = `writing ${key}`
  let state: 'open' | 'ended' = 'open'

  function check(): void {
    signal?.throwIfAborted()
    if (state === 'ended') throw new Error(`the writer of ${key} has ended`)
  }

  async function end(): Promise<void> {
    state = 'ended'
    await gathered.written().catch(() => undefined)
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
    await calls.syncData(file)
    await end()
    signal?.throwIfAborted()
    await settle(path)
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

/** Gathers chunks and writes them in order, one write at a time; after a failure nothing more is written. */
function createGathered(calls: Calls, file: number) {
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
    })()
    last.catch(() => undefined) // seen by whoever waits next
  }

  return {
    /** Takes a chunk; a promise when one mebibyte is being written and one is full. */
    add(chunk: Uint8Array): Promise<void> | undefined {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes < writeBytes) return undefined
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
