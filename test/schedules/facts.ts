/** What happened in a schedule, as its clients know it, and what is in the store. */
import { computeDigest, type Digest, isDigest } from '../../src/oci/digest.ts'
import { parseName, type RepositoryName, type Tag } from '../../src/oci/name.ts'
import * as layout from '../../src/registry/layout.ts'
import { decodeLink, decodeTag } from '../../src/registry/records.ts'
import type { Driver } from '../../src/storage/driver.ts'

export const a = parseName('a')
export const b = parseName('b')
export const c = parseName('c')

const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const ociIndex = 'application/vnd.oci.image.index.v1+json'
export const noLimits = { maxDepth: 100, maxReferences: 100 }

export function digestOf(text: string | Buffer): Digest {
  return computeDigest('sha256', Buffer.from(text))
}

/** Of a blob, by its text or by a digest of it. */
export function blobDigestOf(blob: string): Digest {
  return isDigest(blob) ? blob : digestOf(blob)
}

/** A manifest whose only blob is `blob`, which is short; `name` makes it another one. */
export function imageOf(blob: string, name: string): Buffer {
  const size = isDigest(blob) ? 1 : blob.length
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: blobDigestOf(blob), size }
  return Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: [], annotations: { name } }),
  )
}

export function indexOf(...manifests: readonly Buffer[]): Buffer {
  const entries = manifests.map((bytes) => ({ mediaType: ociManifest, digest: digestOf(bytes), size: bytes.length }))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: entries }))
}

interface Told {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** When the request began, by the store's clock. */
  readonly since: number
}

export interface Pushed {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly tag: string
}

/** What happened, as the clients know it. A delete counts from its start, a push from its answer. */
export interface Facts {
  readonly told: Told[]
  readonly pushed: Pushed[]
  /** Pushes that were begun: they may move a tag without an answer. */
  readonly begun: Pushed[]
  readonly deleted: { readonly repository: RepositoryName; readonly what: string }[]
  readonly violations: string[]
  /** What an immutable tag, by its key, has led to. */
  readonly seen: Map<string, Digest>
  readonly reads: Set<Read>
}

/** A GET under way: what it may answer, and how to see what it might answer now. */
export interface Read {
  readonly answers: Set<string>
  readonly look: (store: Driver) => Promise<string>
}

export function createFacts(): Facts {
  return { told: [], pushed: [], begun: [], deleted: [], violations: [], seen: new Map(), reads: new Set() }
}

export async function isBlobThere(store: Driver, repository: RepositoryName, digest: Digest): Promise<boolean> {
  const link = await store.read(layout.linkKey(digest, repository))
  if (link === undefined) return false
  for (const { key } of decodeLink(link.bytes).segments) if ((await store.stat(key)) === undefined) return false
  return true
}

/** The manifest that a tag leads to, if it is there. */
export async function findTagged(store: Driver, repository: RepositoryName, tag: Tag): Promise<Digest | undefined> {
  const stored = await store.read(layout.tagKey(repository, tag))
  if (stored === undefined) return undefined
  const { digest } = decodeTag(stored.bytes)
  return (await store.stat(layout.manifestKey(repository, digest))) === undefined ? undefined : digest
}
