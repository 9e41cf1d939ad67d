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
