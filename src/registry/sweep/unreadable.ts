/**
 * What cannot be read: records that power loss tore, and keys of which the store says no more than that it failed, as a disk with a bad sector does. Neither
 * the sweep nor retention may stop for one for ever, or guess what it says: it is counted, what it may concern is left alone, and the scrub tells of it.
 */
import { OciError } from '../../oci/errors.ts'
import { StorageError } from '../../storage/driver.ts'
import { DamagedRecordError } from '../records.ts'

/** Who counts such things. */
interface Counting {
  readonly counts: {
    /** Records that are torn. */
    unreadable: number
    /** Works that the store failed. */
    failed: number
    /** What it said of the first. */
    failure?: string
  }
  /** What the store said, each once: one bad key is met again and again. Absent: the run never ends for that. */
  readonly failures?: Set<string> | undefined
}

/** After so many different failures it is not a key that is bad, but the store is away: the run ends with the next one. */
const maxFailures = 100

/** What a record says; `undefined` when it cannot be read. */
export function decodeOrCount<T>(counting: Counting, decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    countOrThrow(counting, error)
    return undefined
  }
}

/** Runs `work`; `undefined` when it met a record that cannot be read, or the store failed: it may have been done in part. */
export async function workOrCount<T>(counting: Counting, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    countOrThrow(counting, error)
    return undefined
  }
}

function countOrThrow({ counts, failures }: Counting, error: unknown): void {
  if (isStoreFailure(error)) {
    counts.failed++
    counts.failure ??= error.message
    failures?.add(error.message)
    if (failures !== undefined && failures.size > maxFailures) throw error
    return
  }
  // A manifest that is JSON but no manifest is refused as a client's would be.
  if (!(error instanceof DamagedRecordError || error instanceof OciError)) throw error
  counts.unreadable++
}

/** Whether the store failed to do one thing. One that is full or takes no writes refuses all alike: nothing is gained by going on. */
export function isStoreFailure(error: unknown): error is StorageError {
  return error instanceof StorageError && error.reason === 'unavailable'
}
