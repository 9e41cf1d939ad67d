/**
 * Records that cannot be read, as power loss may leave those that are written without a sync. Neither the sweep nor retention may stop for one, or
 * guess what it said: it is counted, what it may concern is left alone, and the scrub mends it.
 */
import { OciError } from '../../oci/errors.ts'
import { DamagedRecordError } from '../records.ts'

/** Who counts such records. */
interface Counting {
  readonly counts: { unreadable: number }
}

/** What a record says; `undefined` when it cannot be read. */
export function decodeOrCount<T>({ counts }: Counting, decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    if (!isUnreadable(error)) throw error
    counts.unreadable++
    return undefined
  }
}

/** Runs `work`; `undefined` when it met a record that cannot be read. */
export async function workOrCount<T>({ counts }: Counting, work: () => Promise<T>): Promise<T | undefined> {
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
