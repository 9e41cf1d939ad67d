/** Ends multipart uploads that nobody goes on with: what a killed process left takes room, and no list of keys shows it. */
import type { Cancel } from '../driver.ts'
import type { Multipart, StartedMultipart } from './bucket.ts'
import type { S3Store } from './store.ts'
import { orAbsent } from './values.ts'

export async function tidyMultiparts(store: S3Store, cancel: Cancel): Promise<number> {
  const { bucket, retry, objectOf, multipartAgeMs } = store
  const prefix = objectOf('')
  const { now } = await retry(() => bucket.list({ ...cancel, prefix, limit: 1 }), cancel)
  let aborted = 0
  let after: Multipart | undefined
  do {
    const from = after
    const page = await retry(() => bucket.listMultiparts(prefix, { ...cancel, after: from }), cancel)
    for (const upload of page.uploads) {
      // Some stores do not look at the prefix, and what is not below it is not ours.
      if (!upload.key.startsWith(prefix) || !(await isLeft(store, upload, now - multipartAgeMs, cancel))) continue
      await orAbsent(() => retry(() => bucket.abort(upload, cancel), cancel))
      aborted++
    }
    after = page.next
  } while (after !== undefined)
  return aborted
}

async function isLeft(
  { bucket, retry }: S3Store,
  upload: StartedMultipart,
  before: number,
  cancel: Cancel,
): Promise<boolean> {
  if (upload.started >= before) return false
  const last = await orAbsent(() => retry(() => bucket.lastPartTime(upload, cancel), cancel))
  return (last ?? upload.started) < before
}
