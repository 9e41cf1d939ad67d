/**
 * Running hashes of uploads between two chunks. Only a shortcut: whoever has none for the offset at hand reads the bytes back when the upload is
 * closed. node:crypto cannot save a hash, so it stays in the process that computed it.
 */
import type { Hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { createHasher, type DigestAlgorithm } from '../oci/digest.ts'

export interface RunningHash {
  readonly algorithm: DigestAlgorithm
  /** Bytes it has seen, from the first. */
  readonly offset: number
  readonly hasher: Hash
}

export interface RunningHashes {
  /** The hash of exactly the first `offset` bytes of an upload, if it is known here; it belongs to the caller from now on. */
  take(id: string, offset: number, algorithm: DigestAlgorithm): Hash | undefined
  /** Keeps a hash for the next chunk; the least recently used one goes when there are too many. */
  keep(id: string, hash: RunningHash): void
  /** Forgets the hash of an upload that ended. */
  drop(id: string): void
}

/** Keeps at most `max` hashes. */
export function createRunningHashes(max: number): RunningHashes {
  const kept = new LRUCache<string, RunningHash>({ max })
  return {
    take(id, offset, algorithm) {
      if (offset === 0) return createHasher(algorithm)
      const found = kept.get(id)
      if (found?.offset !== offset || found.algorithm !== algorithm) return undefined
      kept.delete(id)
      return found.hasher
    },
    keep: (id, hash) => void kept.set(id, hash),
    drop: (id) => void kept.delete(id),
  }
}
