/**
 * Records that were read before, decoded. A version is written once, so when the store says that a key still has it, its value need not be read again.
 * Whether it has is looked at in the store each time: nothing here says that anything is there.
 */
import { LRUCache } from 'lru-cache'
import type { Cancel, Driver, StoredValue } from '../storage/driver.ts'
import type { Link } from './links.ts'
import type { StoredManifest, StoredTag } from './lookup.ts'

/** What every kept record has of the store's word on it. */
interface Versioned {
  readonly version: string
  /** The store's time of its last write, in ms. */
  readonly modified: number
}

export type Kept<T extends Versioned> = LRUCache<string, T>

export interface KeptRecords {
  readonly manifests: Kept<StoredManifest>
  readonly tags: Kept<StoredTag>
  readonly links: Kept<Link>
  /** Segments that are a whole small blob, by their key. */
  readonly blobs: Kept<StoredValue>
}

const mebibyte = 1024 * 1024

/** What a decoded record takes beside the bytes of a manifest, about. */
const recordBytes = 1024

/** Of each kind: thousands of small ones, which is what many clients pull at the same time. */
const maxKeptBytes = 8 * mebibyte

/** A blob of at most so many bytes is kept: most configs of images are smaller, and a socket takes it at once. */
export const maxKeptBlobBytes = 16 * 1024

/** By size and not by `max`, which would allocate all of it at once. */
export function createKeptRecords(): KeptRecords {
  return {
    manifests: new LRUCache({
      maxSize: maxKeptBytes,
      // One of megabytes would push out all others.
      maxEntrySize: maxKeptBytes / 32,
      sizeCalculation: ({ bytes }) => bytes.length + recordBytes,
    }),
    tags: new LRUCache({ maxSize: maxKeptBytes, sizeCalculation: () => recordBytes }),
    links: new LRUCache({
      maxSize: maxKeptBytes,
      sizeCalculation: ({ segments }) => segments.length * recordBytes + recordBytes,
    }),
    blobs: new LRUCache({
      maxSize: maxKeptBytes,
      maxEntrySize: maxKeptBlobBytes + recordBytes,
      sizeCalculation: ({ bytes }) => bytes.length + recordBytes,
    }),
  }
}

/** Reads a record, or finds that the one that is kept still stands; absent → `undefined`. */
export async function readRecord<T extends Versioned>(
  driver: Driver,
  kept: Kept<T> | undefined,
  key: string,
  decode: (stored: StoredValue) => T,
  cancel: Cancel,
): Promise<T | undefined> {
  const known = kept?.get(key)
  if (known !== undefined) {
    const stat = await driver.stat(key, cancel)
    if (stat?.version === known.version && stat.modified === known.modified) return known
    kept?.delete(key)
    if (stat === undefined) return undefined
  }
  const stored = await driver.read(key, cancel)
  if (stored === undefined) return undefined
  const record = decode(stored)
  kept?.set(key, record)
  return record
}
