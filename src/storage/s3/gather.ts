/** Gathers the chunks of one part: large ones as they are, small ones copied together. It hashes them as they come, since the store wants the hash first. */
import { createHash } from 'node:crypto'
import type { Body } from './bucket.ts'

/** A part that is full, or the last one. */
export interface GatheredPart extends Body {
  /** Chunks that nobody needs once this part is in the store. */
  readonly chunks: readonly Uint8Array[]
}

export interface Gathering {
  readonly size: () => number
  /** Takes what it has room for and returns the rest. */
  add(chunk: Uint8Array, of: Uint8Array): Uint8Array
  end(): GatheredPart
}

/** A smaller chunk is copied: a million chunks of one byte would weigh 200 times what they hold. In bytes. */
const minKeptBytes = 4096

const slabBytes = 65_536

/** Small chunks, one behind the other. A slab may go on in the next piece. */
function createSlab() {
  let buffer = Buffer.alloc(0)
  let start = 0
  let end = 0
  return {
    /** Whether it took the chunk. */
    add(chunk: Uint8Array): boolean {
      if (end + chunk.length > buffer.length) {
        if (end > start) return false
        buffer = Buffer.allocUnsafeSlow(slabBytes)
        start = end = 0
      }
      buffer.set(chunk, end)
      end += chunk.length
      return true
    },
    /** What came since the last time, if anything. */
    take(): Uint8Array | undefined {
      if (end === start) return undefined
      const piece = buffer.subarray(start, end)
      start = end
      return piece
    },
  }
}

/** A part of at most `maxBytes`, hashed where it is to be signed. */
export function createGathering(maxBytes: number, mode: 'signed' | 'unsigned'): Gathering {
  const hash = mode === 'signed' ? createHash('sha256') : undefined
  const pieces: Uint8Array[] = []
  const chunks: Uint8Array[] = []
  const slab = createSlab()
  let size = 0

  function takeSlab(): void {
    const piece = slab.take()
    if (piece !== undefined) pieces.push(piece)
  }

  return {
    size: () => size,
    add(chunk, of) {
      const taken = chunk.subarray(0, maxBytes - size)
      hash?.update(taken)
      size += taken.length
      if (of.length < minKeptBytes) {
        if (!slab.add(taken)) {
          takeSlab()
          slab.add(taken)
        }
      } else {
        takeSlab()
        pieces.push(taken)
        if (taken.length === chunk.length) chunks.push(of)
      }
      return chunk.subarray(taken.length)
    },
    end() {
      takeSlab()
      return { size, pieces, sha256: hash?.digest('hex'), chunks }
    },
  }
}
