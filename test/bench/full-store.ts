/** A folder that looks as if it had been pushed to for years: written straight into the layout, because a push of each would take hours. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { computeDigest, type Digest } from '../../src/oci/digest.ts'
import { ociManifest } from '../../src/oci/media-types.ts'
import { parseName, parseTag, type RepositoryName } from '../../src/oci/name.ts'
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

function writeImage(root: string, repository: RepositoryName, n: number): void {
  const tag = parseTag(`v${n}`)
  const { digest: config, size } = writeBlob(root, repository, `config ${repository} ${n}`)
  const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size }
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config: descriptor, layers: [] }),
  )
  const digest = computeDigest('sha256', bytes)
  const push = createId()
  const header = { digest, mediaType: ociManifest, push, at: 0, by: 'bench' }
  writeRecord(root, layout.manifestKey(repository, digest), encodeManifest(header, bytes))
  const named = { digest, mediaType: ociManifest, size: bytes.length, push, incarnation: push, at: 0, by: 'bench' }
  writeRecord(root, layout.tagKey(repository, tag), encodeRecord(named))
  write(root, layout.tagHintKey(repository, digest, tag, push), Buffer.alloc(0))
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
    if (repository !== undefined) writeImage(root, repository, i % imagesPerRepository)
  }
  for (let i = 0; i < garbage; i++) {
    const repository = repositories[i % repositories.length]
    if (repository !== undefined) writeGarbage(root, repository, i)
  }
  return repositories
}
