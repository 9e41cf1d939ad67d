/**
 * The values under the keys: how each record is written and read. JSON throughout; a manifest is a line of JSON and then the bytes as they
 * were pushed. A record that cannot be read is damage, not a client's mistake: an ordinary Error.
 */
import { type Digest, type DigestAlgorithm, isDigest, parseAlgorithm } from '../oci/digest.ts'
import { parseName, type RepositoryName } from '../oci/name.ts'

/** Stored bytes of one request body. */
export interface Segment {
  readonly key: string
  readonly size: number
}

export interface SessionRecord {
  readonly repository: RepositoryName
  /** What the running hash is kept in. */
  readonly algorithm: DigestAlgorithm
  /** ms since 1970, by the process that wrote it. */
  readonly at: number
  readonly by: string
}

/** The upload as it stands once this claim's body is in. */
export interface ClaimRecord {
  readonly repository: RepositoryName
  readonly algorithm: DigestAlgorithm
  /** This body alone: those before it have claims of their own. */
  readonly segment: Segment
  /** Bodies so far, with this one. */
  readonly chunks: number
  /** Bytes so far, with this body. */
  readonly size: number
  /** Of all bytes so far; absent when the process that wrote the claim did not hold the running hash. */
  readonly digest?: Digest | undefined
}

export interface LinkRecord {
  /** The upload whose bytes these are. */
  readonly id: string
  readonly size: number
  readonly segments: readonly Segment[]
}

export interface TagRecord {
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  /** The push that wrote the tag. */
  readonly push: string
  /** The push that wrote the manifest (its incarnation) for which the tag was written. */
  readonly incarnation: string
  readonly at: number
  readonly by: string
}

export interface ManifestHeader {
  readonly digest: Digest
  readonly mediaType: string
  /** The push that wrote it: its incarnation. */
  readonly push: string
  readonly at: number
  readonly by: string
}

export interface ManifestRecord extends ManifestHeader {
  readonly bytes: Buffer
}

/** For the sweep: what may have lost its last use, and what must have happened before that is so. */
export interface GarbageRecord {
  /** Blobs whose links to look at. */
  readonly digests?: readonly Digest[]
  /** An upload to end. */
  readonly id?: string
  /** The repository of `manifests`, and of a manifest in `until`. */
  readonly repository?: RepositoryName
  /** Manifests whose hints, marks and tags to look at. */
  readonly manifests?: readonly Digest[]
  /** Not before this is no longer there (or the entry is a lease old). */
  readonly until?:
    | { readonly kind: 'manifest'; readonly digest: Digest; readonly push: string }
    | { readonly kind: 'tag'; readonly key: string; readonly digest: Digest }
    | { readonly kind: 'link'; readonly key: string; readonly id: string }
}

type Fields = Readonly<Record<string, unknown>>

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** A record that is there and cannot be read. */
export class DamagedRecordError extends Error {
  override readonly name = 'DamagedRecordError'
}

function damaged(what: string, options?: ErrorOptions): DamagedRecordError {
  return new DamagedRecordError(`damaged record: ${what}`, options)
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw damaged('not JSON', { cause: error })
  }
}

function parseFields(bytes: Buffer): Fields {
  const value = parseJson(bytes)
  if (!isFields(value)) throw damaged('not an object')
  return value
}

function text(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw damaged(name)
  return value
}

function whole(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw damaged(name)
  return value
}

function digest(fields: Fields): Digest {
  const value = text(fields, 'digest')
  if (!isDigest(value)) throw damaged('digest')
  return value
}

function segment(value: unknown): Segment {
  if (!isFields(value)) throw damaged('segment')
  return { key: text(value, 'key'), size: whole(value, 'size') }
}

function segments(fields: Fields): readonly Segment[] {
  const value = fields['segments']
  if (!Array.isArray(value)) throw damaged('segments')
  return value.map(segment)
}

/** Every record but a manifest. */
export function encodeRecord(record: SessionRecord | ClaimRecord | LinkRecord | TagRecord | GarbageRecord): Buffer {
  return Buffer.from(JSON.stringify(record))
}

export function decodeSession(bytes: Buffer): SessionRecord {
  const fields = parseFields(bytes)
  return {
    repository: parseName(text(fields, 'repository')),
    algorithm: parseAlgorithm(text(fields, 'algorithm')),
    at: whole(fields, 'at'),
    by: text(fields, 'by'),
  }
}

export function decodeClaim(bytes: Buffer): ClaimRecord {
  const fields = parseFields(bytes)
  return {
    repository: parseName(text(fields, 'repository')),
    algorithm: parseAlgorithm(text(fields, 'algorithm')),
    segment: segment(fields['segment']),
    chunks: whole(fields, 'chunks'),
    size: whole(fields, 'size'),
    digest: fields['digest'] === undefined ? undefined : digest(fields),
  }
}

export function decodeLink(bytes: Buffer): LinkRecord {
  const fields = parseFields(bytes)
  return { id: text(fields, 'id'), size: whole(fields, 'size'), segments: segments(fields) }
}

export function decodeTag(bytes: Buffer): TagRecord {
  const fields = parseFields(bytes)
  return {
    digest: digest(fields),
    mediaType: text(fields, 'mediaType'),
    size: whole(fields, 'size'),
    push: text(fields, 'push'),
    incarnation: text(fields, 'incarnation'),
    at: whole(fields, 'at'),
    by: text(fields, 'by'),
  }
}

export function encodeManifest(header: ManifestHeader, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), bytes])
}

export function decodeManifest(record: Buffer): ManifestRecord {
  const newline = record.indexOf(0x0a)
  if (newline < 0) throw damaged('manifest header')
  const fields = parseFields(record.subarray(0, newline))
  return {
    digest: digest(fields),
    mediaType: text(fields, 'mediaType'),
    push: text(fields, 'push'),
    at: whole(fields, 'at'),
    by: text(fields, 'by'),
    bytes: record.subarray(newline + 1),
  }
}

function digests(fields: Fields, name: string): readonly Digest[] {
  const value = fields[name]
  if (!Array.isArray(value)) throw damaged(name)
  return value.map((each: unknown) => {
    if (typeof each !== 'string' || !isDigest(each)) throw damaged(name)
    return each
  })
}

function until(value: unknown): NonNullable<GarbageRecord['until']> {
  if (!isFields(value)) throw damaged('until')
  switch (value['kind']) {
    case 'manifest':
      return { kind: 'manifest', digest: digest(value), push: text(value, 'push') }
    case 'tag':
      return { kind: 'tag', key: text(value, 'key'), digest: digest(value) }
    case 'link':
      return { kind: 'link', key: text(value, 'key'), id: text(value, 'id') }
    default:
      throw damaged('until.kind')
  }
}

export function decodeGarbage(bytes: Buffer): GarbageRecord {
  const fields = parseFields(bytes)
  return {
    ...(fields['digests'] !== undefined && { digests: digests(fields, 'digests') }),
    ...(fields['id'] !== undefined && { id: text(fields, 'id') }),
    ...(fields['repository'] !== undefined && { repository: parseName(text(fields, 'repository')) }),
    ...(fields['manifests'] !== undefined && { manifests: digests(fields, 'manifests') }),
    ...(fields['until'] !== undefined && { until: until(fields['until']) }),
  }
}
