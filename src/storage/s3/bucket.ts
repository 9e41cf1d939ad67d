/** The calls that the driver makes, in S3's words: one request each, never repeated here. What goes wrong is an `S3Error`. It knows no key of the registry. */
import type { Readable } from 'node:stream'
import type { ByteRange, Cancel } from '../driver.ts'
import { createBucketCalls } from './bucket-calls.ts'
import { createClient, resolveClientAddress, noteTimes, resolveAddress } from './client.ts'
import { createListCall } from './list-call.ts'
import { createMultipartCalls } from './multipart-calls.ts'
import { createObjectCalls } from './object-calls.ts'
import type { S3Options } from './options.ts'
import { createQuick } from './quick.ts'

/** What the store says of an object. */
export interface Head {
  /** Of the whole object. */
  readonly size: number
  /** The store's clock, ms; whole seconds. */
  readonly modified: number
  readonly etag: string
  /** Who wrote it: a random id of that write, which a copy keeps. */
  readonly writer: string | undefined
}

/** An object whose bytes arrive. Whoever has it reads `body` to its end or destroys it. */
export interface Got extends Head {
  readonly body: Readable
}

/** The bytes of a range that wait to be copied. Whoever has them copies them once or destroys them. */
export interface OpenedBody {
  /** Calls `write` with one chunk after the other, which is used again when `write` resolves. */
  copy(write: (chunk: Uint8Array) => Promise<void>): Promise<void>
  /** Does nothing after a copy. */
  destroy(): void
}

export interface Opened extends Head {
  readonly body: OpenedBody
}

/** Bytes to send: they are read once for each attempt. */
export interface Body {
  readonly size: number
  readonly pieces: readonly Uint8Array[]
  /** SHA-256 in hex; absent: they go unsigned, which needs TLS. */
  readonly sha256: string | undefined
}

export interface PutOptions extends Cancel {
  readonly writer: string
  readonly ifAbsent?: boolean
  /** Bytes of blobs have a storage class of their own. */
  readonly content: 'record' | 'blob'
}

export interface GetOptions extends Cancel {
  /** At least one byte. */
  readonly range?: ByteRange
  /** Only this content. */
  readonly etag?: string
}

export interface HeadOptions extends Cancel {
  readonly absence?: 'confirmed' | 'likely'
}

export interface ListQuery extends Cancel {
  readonly prefix: string
  readonly after?: string | undefined
  readonly delimiter?: '/' | undefined
  /** At most 1000. */
  readonly limit: number
  readonly token?: string | undefined
}

export interface Listed {
  readonly objects: readonly { readonly key: string; readonly size: number; readonly modified: number }[]
  readonly prefixes: readonly string[]
  readonly next: string | undefined
  /** When the store answered, by its clock, ms. */
  readonly now: number
}

export interface Part {
  readonly number: number
  readonly etag: string
}

export interface Multipart {
  readonly key: string
  readonly id: string
}

export interface StartedMultipart extends Multipart {
  /** The store's clock, ms. */
  readonly started: number
}

export interface MultipartPage {
  readonly uploads: readonly StartedMultipart[]
  readonly next: Multipart | undefined
}

/** When a URL is good: from a time, ms since 1970, for so many seconds. */
export interface Validity {
  readonly fromMs: number
  readonly seconds: number
}

export interface ReadCalls {
  /** Absent: an error with the status 404. */
  get(key: string, options: GetOptions): Promise<Got>
  /** As `get`. Absence is `confirmed` by a second call, unless it may be `likely`: the answer to HEAD does not say what is not there. */
  head(key: string, options: HeadOptions): Promise<Head>
  /** As `get`, for bytes that somebody may take slowly: each has a connection for itself. */
  open(key: string, options: GetOptions & { readonly range: ByteRange }): Promise<Opened>
  /** A URL for a GET of the object, at the address where clients reach the store. */
  presign(key: string, validity: Validity): Promise<string>
}

export interface ObjectCalls {
  put(key: string, body: Body, options: PutOptions): Promise<void>
  copy(from: string, to: string, cancel: Cancel): Promise<void>
  /** Also of what is absent. */
  remove(key: string, options: Cancel & { readonly etag?: string }): Promise<void>
}

export interface MultipartCalls {
  startMultipart(key: string, options: Cancel & { readonly writer: string }): Promise<Multipart>
  /** Returns the ETag. */
  sendPart(to: Multipart, number: number, body: Body, cancel: Cancel): Promise<string>
  complete(upload: Multipart, parts: readonly Part[], cancel: Cancel): Promise<void>
  abort(upload: Multipart, cancel: Cancel): Promise<void>
  /** Those that were begun and not ended below a prefix, one page of them, behind the `next` of the page before. */
  listMultiparts(prefix: string, options: Cancel & { readonly after: Multipart | undefined }): Promise<MultipartPage>
  /** When its last part was sent, by the store's clock, if it has any. */
  lastPartTime(upload: Multipart, cancel: Cancel): Promise<number | undefined>
}

export interface BucketCalls {
  /** Whether a delete leaves the old version there. */
  keepsVersions(cancel: Cancel): Promise<boolean>
  /** For how long every object that is written cannot be deleted, in words; absent: it can be. */
  locksFor(cancel: Cancel): Promise<string | undefined>
}

export interface Bucket extends ReadCalls, ObjectCalls, MultipartCalls, BucketCalls {
  /** Where requests go: the SDK may have been told by its environment or its files. */
  readonly origin: string
  list(query: ListQuery): Promise<Listed>
  close(): Promise<void>
}

/** To complete a large upload takes the store long: 20 s for 6 GiB were seen. */
const slowFactor = 10

export async function openBucket(options: S3Options): Promise<Bucket> {
  const { socketTimeoutMs, maxConnections } = options
  const small = createClient(options, { maxSockets: maxConnections, socketTimeoutMs })
  const bulk = createClient(options, { maxSockets: Number.POSITIVE_INFINITY, socketTimeoutMs }, small)
  const slow = createClient(
    options,
    { maxSockets: maxConnections, socketTimeoutMs: socketTimeoutMs * slowFactor },
    small,
  )
  const addresses = {
    ours: await resolveAddress(small, options.bucket),
    clients: await resolveClientAddress(options, small),
  }
  const quick = createQuick(options, addresses, small.config)
  return {
    origin: addresses.ours.origin,
    ...quick,
    ...createObjectCalls(options, { small, bulk }),
    ...createListCall(options, small, noteTimes(small)),
    ...createMultipartCalls(options, { small, bulk, slow }),
    ...createBucketCalls(options, small),
    async close() {
      for (const client of [small, bulk, slow]) client.destroy()
      await quick.close()
    },
  }
}
