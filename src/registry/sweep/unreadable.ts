/**
 * Records that cannot be read, as power loss may leave those that are written without a sync. The sweep must not stop for one, nor guess what it said: it
 * is counted, what it may concern is left alone, and the scrub mends it.
 */
import { OciError } from '../../oci/errors.ts'
import { DamagedRecordError } from '../records.ts'
import type { SweepContext } from './context.ts'

/** What a record says; `undefined` when it cannot be read. */
export function decodeOrCount<T>({ counts }: SweepContext, decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    if (!isUnreadable(error)) throw error
    counts.unreadable++
    return undefined
  }
}

/** Runs `work`; `undefined` when it met a record that cannot be read. */
export async function workOrCount<T>({ counts }: SweepContext, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!isUnreadable(error)) throw error
    counts.unreadable++
    return undefined
  }
}

function isUnreadable(error: unknown): boolean {
  // A manifest that is JSON but no manifest is refused as a client's would be.
  return error instanceof DamagedRecordError || error instanceof OciError
}
