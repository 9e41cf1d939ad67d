/** Reads records of which nobody knows whether they are whole, and settles those that are not. */
import type { Cancel } from '../../storage/driver.ts'
import { placeOf } from '../places.ts'
import { mayRepair, type ScrubContext } from './context.ts'

/** A record as it stands: read, absent, or there and not to be read. */
export type Stored<T> =
  | { readonly state: 'read'; readonly value: T; readonly version: string; readonly modified: number }
  | { readonly state: 'absent' }
  | { readonly state: 'unreadable'; readonly version: string; readonly modified: number; readonly reason: string }

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What `decode` throws is damage; what the store throws is passed on. */
export async function readStored<T>(
  { driver }: ScrubContext,
  key: string,
  decode: (bytes: Buffer) => T,
  cancel: Cancel,
): Promise<Stored<T>> {
  const stored = await driver.read(key, cancel)
  if (stored === undefined) return { state: 'absent' }
  const { version, modified } = stored
  try {
    return { state: 'read', value: decode(stored.bytes), version, modified }
  } catch (error) {
    return { state: 'unreadable', version, modified, reason: reasonOf(error) }
  }
}

/** What becomes of an unreadable record; `remove` when nobody loses by it, because it answers with an error today and is made anew by a push. */
export async function settleUnreadable(
  scrub: ScrubContext,
  key: string,
  { version, reason }: { readonly version: string; readonly reason: string },
  remedy: 'remove' | 'leave',
  cancel: Cancel,
): Promise<void> {
  const place = placeOf(key)
  const isRecord = place?.kind === 'link' || place?.kind === 'tag' || place?.kind === 'manifest'
  const isRemoved = remedy === 'remove' && mayRepair(scrub)
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
