/** Reads records of which nobody knows whether they are whole, and settles those that are not. */
import type { Cancel } from '../../storage/driver.ts'
import { placeOf } from '../places.ts'
import { isStoreFailure } from '../sweep/unreadable.ts'
import { type Finding, mayRepair, type ScrubContext } from './context.ts'

/** A record as it stands: read, absent, or there and not to be read; without a version when the store does not give it, and may the next time. */
export type Stored<T> =
  | { readonly state: 'read'; readonly value: T; readonly version: string; readonly modified: number }
  | { readonly state: 'absent' }
  | { readonly state: 'unreadable'; readonly version: string | undefined; readonly reason: string }

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What `decode` throws is damage. That the store fails once more is none: it says nothing of the record. */
export async function readStored<T>(
  { driver }: ScrubContext,
  key: string,
  decode: (bytes: Buffer) => T,
  cancel: Cancel,
): Promise<Stored<T>> {
  let version: string | undefined
  try {
    const stored = await driver.read(key, cancel)
    if (stored === undefined) return { state: 'absent' }
    version = stored.version
    return { state: 'read', value: decode(stored.bytes), version, modified: stored.modified }
  } catch (error) {
    if (version === undefined && !isStoreFailure(error)) throw error
    return { state: 'unreadable', version, reason: reasonOf(error) }
  }
}

/** Does what there is to do at a key; where the store fails, that is told, and the scrub goes on behind it. */
export async function orTell<T>(
  { tell }: ScrubContext,
  key: string,
  work: () => Promise<T>,
  about: Pick<Finding, 'digest'> = {},
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!isStoreFailure(error)) throw error
    tell({ kind: 'unreadable', key, ...about, detail: error.message, outcome: 'found' })
    return undefined
  }
}

/**
 * What becomes of an unreadable record; `remove` when nobody loses by it, because it answers with an error today and is made anew by a push. One that the
 * store does not give may be whole: it stays.
 */
export async function settleUnreadable(
  scrub: ScrubContext,
  key: string,
  { version, reason }: { readonly version: string | undefined; readonly reason: string },
  remedy: 'remove' | 'leave',
  cancel: Cancel,
): Promise<void> {
  const place = placeOf(key)
  const isRecord = place?.kind === 'link' || place?.kind === 'tag' || place?.kind === 'manifest'
  const isRemoved = remedy === 'remove' && version !== undefined && mayRepair(scrub)
  if (isRemoved) await scrub.driver.remove(key, isRecord ? { ...cancel, ifUnchanged: version } : cancel)
  scrub.tell({
    kind: 'unreadable',
    key,
    ...(place !== undefined && 'repository' in place && { repository: place.repository }),
    ...(place !== undefined && 'digest' in place && { digest: place.digest }),
    detail: reason,
    outcome: isRemoved ? 'repaired' : 'found',
  })
}
