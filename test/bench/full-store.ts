/** A folder that looks as if it had been pushed to for years: written straight into the layout, because a push of each would take hours. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { computeDigest, type Digest } from '../../src/oci/digest.ts'
import { ociManifest } from '../../src/oci/media-types.ts'
import { parseName, parseTag, type RepositoryName, type Tag } from '../../src/oci/name.ts'
import * as layout from '../../src/registry/layout.ts'
import { encodeManifest, encodeRecord, type Segment } from '../../src/registry/records.ts'

export interface StoreSize {
  /** Keys of images: five each. */
  readonly records: number
  /** Blobs that somebody pushed and nothing names. */
  readonly garbage: number
}

const imagesPerRepository = 500
const recordsPerImage = 5

function write(root: string, key: string, bytes: Buffer): void {
  const path = join(root, key)
  try {
    writeFileSync(path, bytes)
  } catch {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
  }
}

/** A record is a directory whose newest file counts. */
function writeRecord(root: string, key: string, bytes: Buffer): void {
  write(root, `${key}/0000000000000001-bench`, bytes)
}

let ids = 0
function createId(): string {
  const hex = computeDigest('sha256', Buffer.from(`id ${ids++}`)).slice(7)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

function writeBlob(
  root: string,
  repository: RepositoryName,
  text: string,
): { digest: Digest; id: string; size: number; segment: Segment } {
  const id = createId()
  const bytes = Buffer.from(text)
  const digest = computeDigest('sha256', bytes)
  const segment = { key: layout.segmentKey(id, 0, createId()), size: bytes.length }
  write(root, segment.key, bytes)
  writeRecord(root, layout.linkKey(digest, repository), encodeRecord({ id, size: bytes.length, segments: [segment] }))
  return { digest, id, size: bytes.length, segment }
}

interface WrittenImage {
  readonly digest: Digest
  readonly bytes: Buffer
  /** The push that wrote the manifest. */
  readonly push: string
}

/** Writes an image without layers. */
function writeImage(root: string, repository: RepositoryName, n: number): WrittenImage {
  const { digest: config, size } = writeBlob(root, repository, `config ${repository} ${n}`)
  const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size }
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config: descriptor, layers: [] }),
  )
  return writeManifest(root, repository, bytes)
}

/** Writes a manifest, and nothing of what it names. */
export function writeManifest(root: string, repository: RepositoryName, bytes: Buffer): WrittenImage {
  const digest = computeDigest('sha256', bytes)
  const push = createId()
  const header = { digest, mediaType: ociManifest, push, at: 0, by: 'bench' }
  writeRecord(root, layout.manifestKey(repository, digest), encodeManifest(header, bytes))
  return { digest, bytes, push }
}

/** Writes a tag of it, without the hint that it is there. */
export function writeTag(root: string, repository: RepositoryName, tag: Tag, image: WrittenImage): void {
  const { digest, bytes, push } = image
  const named = { digest, mediaType: ociManifest, size: bytes.length, push, incarnation: push, at: 0, by: 'bench' }
  writeRecord(root, layout.tagKey(repository, tag), encodeRecord(named))
}

function writeGarbage(root: string, repository: RepositoryName, n: number): void {
  const { digest, id, size, segment } = writeBlob(root, repository, `garbage ${n}`)
  const claim = {
    repository,
    algorithm: 'sha256' as const,
    segment,
    chunks: 1,
    size,
    digest,
  }
  write(root, layout.claimKey(id, 0), encodeRecord(claim))
}

/** The repositories of a store of this size. */
export function listRepositories({ records }: StoreSize): readonly RepositoryName[] {
  const images = Math.ceil(records / recordsPerImage)
  return Array.from({ length: Math.ceil(images / imagesPerRepository) }, (_, i) => parseName(`team${i % 20}/app${i}`))
}

/** Writes the store and returns its repositories. */
export function writeFullStore(root: string, size: StoreSize): readonly RepositoryName[] {
  const { records, garbage } = size
  const images = Math.ceil(records / recordsPerImage)
  const repositories = listRepositories(size)
  write(root, layout.formatKey, Buffer.from('{"format":1}'))
  for (let i = 0; i < images; i++) {
    const repository = repositories[Math.floor(i / imagesPerRepository)]
    if (repository === undefined) continue
    const n = i % imagesPerRepository
    const tag = parseTag(`v${n}`)
    const image = writeImage(root, repository, n)
    writeTag(root, repository, tag, image)
    write(root, layout.tagHintKey(repository, image.digest, tag, image.push), Buffer.alloc(0))
  }
  for (let i = 0; i < garbage; i++) {
    const repository = repositories[i % repositories.length]
    if (repository !== undefined) writeGarbage(root, repository, i)
  }
  return repositories
}
