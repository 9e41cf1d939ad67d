/** The fastest way from a file to a stream: two reused buffers, one being read into while the other is written. */
import type { Writable } from 'node:stream'
import type { ByteRange, Cancel, OpenBytes } from '../driver.ts'
import { type WriteChunk, withTarget } from '../target.ts'
import type { Disk } from './disk.ts'
import { translateErrors } from './errors.ts'

type Means = Pick<Disk, 'calls' | 'buffers'>

/** Takes over an open file: it is closed by the copy or by `close`. */
export function openBytes(means: Means, file: number, key: string, range: ByteRange): OpenBytes {
  const { calls } = means
  let copying: Promise<void> | undefined
  let closing: Promise<void> | undefined
  const doing = `reading ${key}`

  async function close(): Promise<void> {
    await copying?.catch(() => undefined)
    closing ??= calls.close(file)
    return closing
  }

  return {
    size: range.end - range.start,
    async copyTo(target: Writable, options: Cancel = {}) {
      if (copying !== undefined || closing !== undefined) throw new Error(`${key} was already copied or closed`)
      copying = translateErrors(doing, () =>
        withTarget(target, options, (write) => copyRange(means, file, key, range, write)),
      )
      try {
        await copying
      } finally {
        await close()
      }
    },
    close: () => translateErrors(doing, close),
  }
}

async function copyRange(
  { calls, buffers }: Means,
  file: number,
  key: string,
  { start, end }: ByteRange,
  write: WriteChunk,
): Promise<void> {
  if (start === end) return
  buffers.begin()
  let reading: Promise<number> | undefined
  try {
    const size = Math.min(buffers.size(), end - start)
    let filling = buffers.take(size)
    // A range that fits into one buffer needs no second one.
    let emptying = end - start > size ? buffers.take(size) : undefined
    let position = start
    let written: Promise<void> = Promise.resolve()
    reading = readAhead(calls, file, filling, position, end)
    while (position < end) {
      const bytesRead = await reading
      if (bytesRead === 0) throw new Error(`${key} is shorter than it was`)
      position += bytesRead
      await written // the other buffer is free again
      const full = filling
      if (position < end) {
        filling = shrink(buffers, emptying ?? buffers.take(size))
        emptying = full
        reading = readAhead(calls, file, filling, position, end)
      }
      written = write(full.subarray(0, bytesRead))
      written.catch(() => undefined) // seen at the next await
    }
    await written
    // After a failure the stream may still have one.
    buffers.give(filling)
    if (emptying !== undefined) buffers.give(emptying)
  } finally {
    // Nobody may close the file while it is read.
    await Promise.allSettled([reading])
    buffers.end()
  }
}

/** In a crowd, a smaller one instead. It never grows again: whoever began in a crowd goes on so. */
function shrink(buffers: Disk['buffers'], buffer: Buffer): Buffer {
  const size = buffers.size()
  if (buffer.length <= size) return buffer
  buffers.give(buffer)
  return buffers.take(size)
}

function readAhead(calls: Disk['calls'], file: number, into: Buffer, position: number, end: number): Promise<number> {
  const reading = calls.read(file, into.subarray(0, Math.min(into.length, end - position)), position)
  reading.catch(() => undefined) // seen at the next await
  return reading
}
