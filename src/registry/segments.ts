/** Bytes that lie in several segments, as if they were one: a range of a blob, opened for copying. */
import type { Hash } from 'node:crypto'
import { Writable } from 'node:stream'
import type { ByteRange, Cancel, Driver, OpenBytes } from '../storage/driver.ts'
import type { Segment } from './records.ts'

interface Piece {
  readonly key: string
  readonly range: ByteRange
}

/** The parts of the segments that a range covers, in order; for an empty range the segment where it lies. */
function pieces(segments: readonly Segment[], { start, end }: ByteRange): readonly Piece[] {
  const found: Piece[] = []
  let offset = 0
  for (const { key, size } of segments) {
    const from = Math.max(start - offset, 0)
    const to = Math.min(end - offset, size)
    if (from < to || (start === end && start === offset && found.length === 0)) {
      found.push({ key, range: { start: from, end: Math.max(from, to) } })
    }
    offset += size
  }
  return found
}

/**
 * Opens a range; `undefined` when its first segment is not there. The first is open when this resolves, the others are opened when it is their turn, so
 * a blob of thousands of chunks holds one handle.
 */
export async function openSegments(
  driver: Driver,
  segments: readonly Segment[],
  range: ByteRange,
  cancel: Cancel,
): Promise<OpenBytes | undefined> {
  const [first, ...rest] = pieces(segments, range)
  if (first === undefined) throw new Error('the range lies outside of the segments')
  const opened = await driver.open(first.key, first.range, cancel)
  if (opened === undefined || rest.length === 0) return opened
  return {
    size: range.end - range.start,
    close: () => opened.close(),
    async copyTo(target, options = {}) {
      await opened.copyTo(target, options)
      for (const piece of rest) {
        const next = await driver.open(piece.key, piece.range, options)
        if (next === undefined) throw new Error(`a segment of the blob is gone: ${piece.key}`)
        await next.copyTo(target, options)
      }
    },
  }
}

function createSink(consume: (chunk: Buffer) => void): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      consume(chunk)
      done()
    },
  })
}

/** Feeds a segment to hashers; false when it is gone. */
export async function hashSegment(
  driver: Driver,
  { key, size }: Segment,
  hashers: readonly Hash[],
  cancel: Cancel,
): Promise<boolean> {
  const opened = await driver.open(key, { start: 0, end: size }, cancel)
  const sink = createSink((chunk) => hashers.forEach((hasher) => hasher.update(chunk)))
  await opened?.copyTo(sink, cancel)
  return opened !== undefined
}

/** Reads all segments in order into `consume`, for hashing; false when one is gone. */
export async function readSegments(
  driver: Driver,
  segments: readonly Segment[],
  consume: (chunk: Buffer) => void,
  cancel: Cancel,
): Promise<boolean> {
  for (const { key, size } of segments) {
    const opened = await driver.open(key, { start: 0, end: size }, cancel)
    if (opened === undefined) return false
    await opened.copyTo(createSink(consume), cancel)
  }
  return true
}
