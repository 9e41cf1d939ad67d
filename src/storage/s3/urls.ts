/** URLs that clients of the registry are sent to. */
import type { Driver } from '../driver.ts'
import type { S3Options, S3RedirectOptions } from './options.ts'
import type { S3Store } from './store.ts'

/** For so much of its life a URL is the same. */
const sameShare = 0.25

/**
 * Signs with the time at which the last such share began: then all replicas give the same URL, as a cache of them would, and nothing is kept. It is good for
 * three quarters of its life at least.
 */
export function createUrlSigner(
  { bucket, objectOf }: Pick<S3Store, 'bucket' | 'objectOf'>,
  { urlAgeMs }: S3RedirectOptions,
  { now }: Pick<S3Options, 'now'>,
): NonNullable<Driver['signUrl']> {
  const stepMs = Math.max(1000, Math.floor(urlAgeMs * sameShare))
  const seconds = Math.ceil(urlAgeMs / 1000)
  return (key) => bucket.presign(objectOf(key), { fromMs: Math.floor(now() / stepMs) * stepMs, seconds })
}
