/**
 * Remembers which ids were seen, in fixed memory (a Bloom filter): it may take an id for seen that was not, never the other way round. So what it has
 * not seen is certain, and of what nobody links a small part is found by a later run.
 */
import { createHash } from 'node:crypto'

export interface IdFilter {
  add(id: string): void
  mayHave(id: string): boolean
}

/** 13 bits for each of 10 million ids: about 2 of 1,000 are mistaken. */
const filterBytes = 16 * 1024 * 1024
const bitsPerId = 6

/** `seed` makes every run mistake other ids. */
export function createIdFilter(seed: string, bytes = filterBytes): IdFilter {
  const bits = new Uint8Array(bytes)
  const placesOf = (id: string): number[] => {
    const hash = createHash('sha256').update(seed).update(id).digest()
    return Array.from({ length: bitsPerId }, (_, i) => hash.readUInt32LE(i * 4) % (bytes * 8))
  }
  return {
    add(id) {
      for (const place of placesOf(id)) bits[place >>> 3] = (bits[place >>> 3] ?? 0) | (1 << (place & 7))
    },
    mayHave: (id) => placesOf(id).every((place) => ((bits[place >>> 3] ?? 0) & (1 << (place & 7))) !== 0),
  }
}
