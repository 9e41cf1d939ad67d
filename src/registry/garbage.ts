/** Garbage entries: a note for the sweep that something may have lost its last use. Written before the loss, so that none is forgotten. */
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { garbageKey } from './layout.ts'
import { encodeRecord, type GarbageRecord } from './records.ts'

/**
 * Writes an entry, durably, also into a store that is full: deleting must always work. `name`: one entry is enough for this, however often it is tried; the
 * first stays.
 */
export async function noteGarbage(
  { driver, createId }: Context,
  record: GarbageRecord,
  cancel: Cancel,
  name?: string,
): Promise<void> {
  const options = { ...cancel, reserve: true, ifAbsent: name !== undefined }
  await driver.write(garbageKey(name ?? createId()), encodeRecord(record), options)
}

/** An entry that waits for what it is written for. */
export type WaitingGarbage = GarbageRecord & { readonly until: NonNullable<GarbageRecord['until']> }

/**
 * Writes an entry and does what it waits for (`until`). The sweep takes an entry that is a lease old, whether or not that has happened; so who slept meanwhile
 * writes another (decision 20).
 */
export async function noteAndDo<T>(
  context: Context,
  record: WaitingGarbage,
  cancel: Cancel,
  act: () => Promise<T>,
): Promise<T> {
  const { now, limits } = context
  const before = now()
  // Also when the client is gone by now. What was done is done: without this entry it is the scrub that finds what is left.
  const noteAgain = async (again: GarbageRecord): Promise<void> => {
    if (Math.abs(now() - before) >= limits.leaseMs / 2) await noteGarbage(context, again, {}).catch(() => undefined)
  }
  await noteGarbage(context, record, cancel)
  let result: T
  try {
    result = await act()
  } catch (error) {
    // It may have happened all the same, or may happen yet.
    await noteAgain(record)
    throw error
  }
  const { until: _, ...happened } = record
  await noteAgain(happened)
  return result
}
