/** What all parts of the driver work with: the bucket, its prefix, how calls are repeated, and how much may be in memory. */
import type { ObjectStat } from '../driver.ts'
import type { Bucket, Head } from './bucket.ts'
import type { MemoryBudget } from './budget.ts'
import type { S3Options } from './options.ts'
import type { Retry } from './retry.ts'

export interface S3Store {
  readonly bucket: Bucket
  readonly retry: Retry
  /** Makes random names that never repeat. */
  readonly createId: () => string
  /** The key in the bucket. */
  readonly objectOf: (key: string) => string
  /** The key of an object, as the driver's callers know it. */
  readonly keyOf: (object: string) => string
  readonly budget: MemoryBudget
  readonly partBytes: number
  readonly uploadConcurrency: number
  readonly maxValueBytes: number
  /** Whether a body is protected by TLS, so that it need not be signed. */
  readonly isEncrypted: boolean
  /** Whether a DELETE with a condition is exact. */
  readonly removesExactly: boolean
  readonly multipartAgeMs: number
}

/** Names this very content, and the write that brought it: stores tell the same bytes written twice not apart. */
export function versionOf({ etag, writer }: Head): string {
  return writer === undefined ? etag : `${etag} ${writer}`
}

export function describeHead(head: Head): ObjectStat {
  return { size: head.size, modified: head.modified, version: versionOf(head) }
}

/** AWS says that it is exact; of no other store is it known. Without an endpoint of ours the SDK may have been told one. */
export function removesExactly({ conditionalDelete }: S3Options, { origin }: Pick<Bucket, 'origin'>): boolean {
  if (conditionalDelete !== 'auto') return conditionalDelete === 'exact'
  return isAws(origin)
}

export function isAws(origin: string): boolean {
  return /\.amazonaws\.com(?:\.cn)?$/.test(new URL(origin).hostname)
}
