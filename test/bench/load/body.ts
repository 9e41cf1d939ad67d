/** Bodies of any size that are new every time and cost nothing to make: the same bytes again and again, then a few random ones. */
import { createHash, type Hash, randomBytes } from 'node:crypto'

export interface Content {
  readonly size: number
  readonly digest: string
  readonly tail: Buffer
}

const tailBytes = 16
const piece = randomBytes(1024 * 1024)
/** The hash of what all contents of a size begin with: a gibibyte is hashed once, not for every push. */
const begun = new Map<number, Hash>()

export function createContent(size: number): Content {
  const tail = randomBytes(tailBytes)
  const hash = begun.get(size) ?? begin(size)
  return { size, digest: `sha256:${hash.copy().update(tail).digest('hex')}`, tail }
}

function begin(size: number): Hash {
  const hash = createHash('sha256')
  for (const part of repeated(size - tailBytes)) hash.update(part)
  begun.set(size, hash)
  return hash
}

export function* pieces({ size, tail }: Content): Generator<Buffer> {
  yield* repeated(size - tail.length)
  yield tail
}

function* repeated(size: number): Generator<Buffer> {
  for (let left = size; left > 0; left -= piece.length) yield left < piece.length ? piece.subarray(0, left) : piece
}

/** A body of these very bytes. */
export function contentOf(bytes: Buffer): Content {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  return { size: bytes.length, digest, tail: bytes }
}
