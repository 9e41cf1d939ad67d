/** Garbage entries: a note for the sweep that something may have lost its last use. Written before the loss, so that none is forgotten. */
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { garbageKey } from './layout.ts'
import { encodeRecord, type GarbageRecord } from './records.ts'

/** Writes an entry, durably, also into a store that is full: deleting must always work. */
export async function noteGarbage({ driver, createId }: Context, record: GarbageRecord, cancel: Cancel): Promise<void> {
  await driver.write(garbageKey(createId()), encodeRecord(record), { ...cancel, reserve: true })
}
