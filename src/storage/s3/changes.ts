/** Writing, promoting and removing small values. What changes something is not cut off by an abort, see `untilAborted`. */
import { createHash } from 'node:crypto'
import { type Cancel, type RemoveOptions, StorageError, type WriteOptions } from '../driver.ts'
import type { Body, Head } from './bucket.ts'
import { isAbsent, isPutOff, isRefused, isTransient, S3Error } from './errors.ts'
import { untilAborted } from './retry.ts'
import { type S3Store, versionOf } from './store.ts'
import { headObject, orAbsent } from './values.ts'

function bodyOf(bytes: Uint8Array): Body {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { size: bytes.length, pieces: bytes.length === 0 ? [] : [bytes], sha256 }
}

export async function writeValue(
  store: S3Store,
  key: string,
  bytes: Uint8Array,
  { ifAbsent = false, signal }: WriteOptions,
): Promise<'written' | 'exists'> {
  const { bucket, retry, createId, objectOf } = store
  const writer = createId()
  // The caller may do with his buffer what he likes once we wait for the first time.
  const body = bodyOf(Buffer.from(bytes))
  const put = () => bucket.put(objectOf(key), body, { writer, ifAbsent, content: 'record' })
  try {
    // Each attempt is of the same writer: with the condition one of them at most takes the key.
    await retry(put, untilAborted({ signal }))
    return 'written'
  } catch (error) {
    if (error instanceof S3Error && error.status === 501 && ifAbsent)
      throw new StorageError('unavailable', describeUnknown(error), { cause: error })
    if (!ifAbsent || !(error instanceof S3Error) || !(isRefused(error) || isTransient(error))) throw error
    // It may be there by an attempt of ours: its answer was lost, or a proxy in between has sent it twice.
    const head = await headObject(store, key, {})
    if (head === undefined) throw error
    return head.writer === writer ? 'written' : 'exists'
  }
}

function describeUnknown({ code }: S3Error): string {
  return `the store does not know "only if absent" (${code}, 501); it cannot keep a registry: use one that does, docs/storage.md names some`
}

/**
 * The store copies the entry, then the entry goes. A copy is sent again only when the store says that it did nothing: one whose answer was lost may land
 * late, when somebody else has already replaced what it brings.
 */
export async function promoteValue(
  store: S3Store,
  entry: string,
  record: string,
  cancel: Cancel,
): Promise<'done' | 'refused'> {
  const { bucket, retry, objectOf } = store
  try {
    await retry(() => bucket.copy(objectOf(entry), objectOf(record), {}), untilAborted(cancel, isPutOff))
  } catch (error) {
    if (!(error instanceof S3Error)) throw error
    if (isAbsent(error)) return 'refused'
    if (!isTransient(error) || !(await hasLanded(store, entry, record))) throw error
  }
  // Some stores say of what is gone that it is absent, also by an attempt of ours whose answer was lost.
  await orAbsent(() => retry(() => bucket.remove(objectOf(entry), {}), untilAborted(cancel)))
  return 'done'
}

async function hasLanded(store: S3Store, entry: string, record: string): Promise<boolean> {
  const [from, to] = await Promise.all([headObject(store, entry, {}), headObject(store, record, {})])
  return from?.writer !== undefined && from.writer === to?.writer
}

/**
 * S3 says of a DELETE not whether there was anything, so it is looked for first, and again before each further attempt: when the first has done it and its answer
 * was lost, somebody else may have written the key since.
 */
export async function removeValue(
  store: S3Store,
  key: string,
  { ifUnchanged, signal }: RemoveOptions,
): Promise<'removed' | 'absent' | 'changed'> {
  const { bucket, retry, objectOf, removesExactly } = store
  let first: Head | undefined
  const attempt = async (): Promise<'removed' | 'absent' | 'changed'> => {
    const head = await orAbsent(() => bucket.head(objectOf(key), first === undefined ? { signal } : {}))
    if (head === undefined) return first === undefined ? 'absent' : 'removed'
    const version = versionOf(head)
    if (ifUnchanged !== undefined && version !== ifUnchanged) return 'changed'
    if (first !== undefined && version !== versionOf(first)) return 'removed'
    if (first === undefined) signal?.throwIfAborted()
    first = head
    const condition = ifUnchanged !== undefined && removesExactly ? { etag: head.etag } : {}
    await bucket.remove(objectOf(key), condition)
    return 'removed'
  }
  try {
    return await retry(attempt, untilAborted({ signal }))
  } catch (error) {
    if (error instanceof S3Error && isRefused(error)) return 'changed'
    // By our own attempt whose answer was lost, or by somebody else a moment before us.
    if (error instanceof S3Error && isAbsent(error)) return 'removed'
    throw error
  }
}
