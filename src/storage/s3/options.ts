/** What the S3 driver is told: where the bucket is, how to get in, and how much it may use. */
import type { KeySpace } from '../driver.ts'

/** Whether `DELETE` with `If-Match` is exact on this store, also against a write at the same moment. `auto`: on AWS yes, elsewhere no. */
export type ConditionalDelete = 'auto' | 'exact' | 'none'

/** Where the bucket is and how it is reached; the options of the section `storage.s3`. */
export interface S3StoreOptions {
  /** `http://…` or `https://…` without a path; absent: AWS, in the region. */
  readonly endpoint?: string | undefined
  readonly region: string
  readonly bucket: string
  /** What every key begins with: empty, or it ends in `/`. */
  readonly prefix: string
  /** Whether the bucket is named in the path (`http://store/bucket/key`) or in the host name. `auto`: in the path when there is an endpoint. */
  readonly pathStyle: 'auto' | 'on' | 'off'
  /** Absent: what the environment, the files, the web identity or the instance role say, in the order of the AWS SDK. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  /** Which encryption the store is asked for; `default`: the bucket's own. */
  readonly encryption: 'default' | 'AES256' | 'aws:kms'
  /** With `aws:kms`: the key; absent: the account's own for S3. */
  readonly kmsKeyId?: string | undefined
  /** Of the bytes of blobs; records always have the bucket's default. Absent: that, too. */
  readonly storageClass?: string | undefined
  /** PEM: certificates of authorities that are trusted beside the usual ones. */
  readonly certificates?: string | undefined
  /** The size of the parts of a multipart upload: every part but the last has it. */
  readonly partBytes: number
  /** How many parts of one upload are sent at once, while the memory for that is there. */
  readonly uploadConcurrency: number
  /** Memory of parts on their way, in this process. One part of each upload is always sent, and one gathered. */
  readonly bufferBytes: number
  /** Memory for bytes on their way out, in this process: each transfer has two buffers. */
  readonly readBufferBytes: number
  /** Connections for small calls; those that carry bytes of blobs are as many as there are requests. */
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  /** Silence of the store after which a call has failed. */
  readonly socketTimeoutMs: number
  /** How often a call that may be repeated is made at most. */
  readonly maxAttempts: number
  readonly conditionalDelete: ConditionalDelete
  /** A multipart upload of which nothing was sent for so long is aborted. */
  readonly multipartAgeMs: number
  /** Signs URLs for clients of the registry; absent: nobody is sent to the store. */
  readonly redirect?: S3RedirectOptions | undefined
}

export interface S3RedirectOptions {
  /** How clients reach the store; absent: as the registry does. */
  readonly endpoint?: string | undefined
  /** How long a URL is good. */
  readonly urlAgeMs: number
}

export interface S3Options extends S3StoreOptions {
  readonly keySpace: KeySpace
  /** This machine's clock, ms since 1970: for signatures. */
  readonly now: () => number
  /** Makes random names that never repeat. */
  readonly createId: () => string
  /** Told, in one sentence each, what is not as it should be but can be lived with; absent: it is not asked for. */
  readonly warn?: ((message: string) => void) | undefined
  /** From 0 to below 1. Default `Math.random`. */
  readonly random?: () => number
  /** Monotonic, ms. Default `performance.now`. */
  readonly elapsed?: () => number
  /** Rejects when the signal is aborted. */
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<unknown>
  /** The largest value that `read` takes. Default 16 MiB. */
  readonly maxValueBytes?: number
}
