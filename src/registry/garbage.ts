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

/**
 * Writes an entry and does what it is written for. The sweep takes an entry that is a lease old, whether or not that has happened; so who slept meanwhile
 * writes another. By this machine's clock, which decides nothing but whether one is written that nobody needs.
 */
export async function noteAndDo<T>(
  context: Context,
  record: GarbageRecord,
  cancel: Cancel,
  act: () => Promise<T>,
): Promise<T> {
  const { now, limits } = context
  const before = now()
  await noteGarbage(context, record, cancel)
  try {
    return await act()
  } finally {
    const { until: _, ...rest } = record
    // Also when the client is gone by now.
    if (Math.abs(now() - before) >= limits.leaseMs / 2) await noteGarbage(context, rest, {})
  }
}
