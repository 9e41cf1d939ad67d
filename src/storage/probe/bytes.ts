/** Steps with bodies of unknown length: a large one whole and in ranges, an empty one, one that is given up. */
import { createHash, randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import type { ByteRange, ByteWriter } from '../driver.ts'
import { failed, ok, type Scratch, showMs, type Step, timed } from './step.ts'

const mebibyte = 1024 * 1024
const chunkBytes = 65_536

/** A prime: no two parts are alike. */
const blockBytes = 1_000_003

/** Random bytes that repeat, of which any range can be made again. */
function createContent() {
  const block = randomBytes(blockBytes)
  const doubled = Buffer.concat([block, block.subarray(0, chunkBytes)])
  return {
    /** At most `chunkBytes`. */
    at({ start, end }: ByteRange): Buffer {
      const from = start % blockBytes
      return doubled.subarray(from, from + (end - start))
    },
  }
}

type Content = ReturnType<typeof createContent>

/** Writes so many bytes and returns their hash. */
async function writeAll(writer: ByteWriter, content: Content, size: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for (let start = 0; start < size; start += chunkBytes) {
    signal.throwIfAborted()
    const chunk = content.at({ start, end: Math.min(start + chunkBytes, size) })
    hash.update(chunk)
    await writer.write(chunk)
  }
  return hash.digest('hex')
}

/** The hash and the number of the bytes in a range. */
async function readRange({ driver, signal }: Scratch, key: string, range: ByteRange) {
  const opened = await driver.open(key, range)
  if (opened === undefined) return undefined
  const hash = createHash('sha256')
  const target = new Writable({
    write(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done()
    },
  })
  await opened.copyTo(target, { signal })
  return hash.digest('hex')
}

async function writeLarge(scratch: Scratch, partBytes: number) {
  const { driver, key, signal } = scratch
  const one = key()
  const content = createContent()
  const size = 2 * partBytes + Math.ceil(partBytes / 3) + 7
  const writer = await driver.writeStream(one, { signal })
  let sha256 = ''
  const up = await timed(scratch, async () => {
    try {
      sha256 = await writeAll(writer, content, size, signal)
    } catch (error) {
      await writer.discard()
      throw error
    }
    await writer.seal()
  })
  signal.throwIfAborted()
  const down = await timed(scratch, () => readRange(scratch, one, { start: 0, end: size }))
  if (down.value !== sha256) return failed('what is read back is not what was written')
  for (const [start, end] of rangesOf(partBytes, size)) {
    signal.throwIfAborted()
    const expected = createHash('sha256').update(content.at({ start, end })).digest('hex')
    if ((await readRange(scratch, one, { start, end })) !== expected)
      return failed(`the range from ${start} to ${end} is not what was written`)
  }
  await driver.remove(one)
  const speed = (ms: number): string => `${Math.round(size / mebibyte / (Math.max(ms, 1) / 1000))} MiB/s`
  return ok(`${(size / mebibyte).toFixed(1)} MiB, up ${speed(up.ms)}, down ${speed(down.ms)}`)
}

/** The ends, and around the borders of parts. */
function rangesOf(partBytes: number, size: number): readonly (readonly [number, number])[] {
  return [
    [0, 1],
    [partBytes - 7, partBytes + 9],
    [2 * partBytes - 1, 2 * partBytes + 1],
    [size - 10, size],
  ]
}

async function writeNothing({ driver, key }: Scratch) {
  const one = key()
  await (await driver.writeStream(one)).seal()
  const stat = await driver.stat(one)
  const read = await driver.read(one)
  const opened = await driver.open(one, { start: 0, end: 0 })
  await opened?.close()
  if (stat?.size !== 0 || read?.bytes.length !== 0 || opened?.size !== 0)
    return failed('an empty body is not read back as one')
  return ok('written and read back')
}

async function giveUp(scratch: Scratch, partBytes: number) {
  const { driver, key, signal, prefix } = scratch
  const one = key()
  const writer = await driver.writeStream(one, { signal })
  const { ms } = await timed(scratch, async () => {
    try {
      await writeAll(writer, createContent(), 2 * partBytes + 1, signal)
    } finally {
      await writer.discard()
    }
  })
  const { entries } = await driver.list(prefix, { limit: 1000 })
  if ((await driver.stat(one)) !== undefined || entries.some((entry) => entry.key === one))
    return failed('an upload that was given up is there')
  return ok(`nothing is there after ${showMs(ms)}`)
}

export function byteSteps(partBytes: number): readonly Step[] {
  return [
    { name: 'large upload, read whole and in ranges', weight: 'needed', run: (one) => writeLarge(one, partBytes) },
    { name: 'empty body', weight: 'needed', run: writeNothing },
    { name: 'large upload that is given up', weight: 'needed', run: (one) => giveUp(one, partBytes) },
  ]
}
