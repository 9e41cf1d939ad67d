/**
 * What manifests name, remembered by their digest, because contents never change. A blob is remembered as a number of eight bytes and not as a digest of a
 * hundred: so a sweep remembers nearly three times as many images, and V8's collector has nothing to follow in them.
 */
import { LRUCache } from 'lru-cache'
import { type Digest, hexOf } from '../../oci/digest.ts'

/**
 * What a digest begins with, as a whole number. Two blobs may share one: then what names the one is taken to name the other, which is kept as long as that
 * is named, and no scrub tells of it. Nothing that is needed can be missed.
 */
export type Fingerprint = number

/** As many as a number holds exactly (52 bits). That two of a million blobs share one has a chance of 1 in 9,000. */
const hexDigits = 13

/** The digest of the manifest, and what the cache needs to find it: in bytes, measured. */
const bytesPerManifest = 250

const bytesPerBlob = 8

/** Some 230,000 images of five blobs. */
export const maxContentsBytes = 64 * 1024 * 1024

/** The fingerprint of a blob. */
export function fingerprintOf(digest: Digest): Fingerprint {
  return Number.parseInt(hexOf(digest).slice(0, hexDigits), 16)
}

export interface Contents {
  /** What a manifest names; `undefined` when it is not remembered. That it was asked for changes nothing: all are asked for alike. */
  readonly find: (manifest: Digest) => readonly Fingerprint[] | undefined
  /** Remembers what a manifest names, and forgets what was remembered first when there is no room. */
  readonly keep: (manifest: Digest, blobs: readonly Fingerprint[]) => void
}

/**
 * Remembers as much as fits into so many bytes. A sweep that asks for more manifests than fit, always in the same order, finds none of them and reads them
 * all again.
 */
export function createContents(maxBytes: number): Contents {
  const kept = new LRUCache<Digest, readonly Fingerprint[]>({
    maxSize: maxBytes,
    sizeCalculation: (blobs) => bytesPerManifest + blobs.length * bytesPerBlob,
  })
  return {
    find: (manifest) => kept.peek(manifest),
    keep: (manifest, blobs) => void kept.set(manifest, blobs),
  }
}
