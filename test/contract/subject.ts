/** What the parts of the driver contract share. */
import assert from 'node:assert/strict'
import type { Driver } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'

/** A store for one suite, empty, with the key space of `test/storage/folder.ts`. */
export interface Subject {
  readonly driver: Driver
  /** What lies in the store beside what `list` shows: compared before and after what must leave nothing behind. */
  rawTree(): Promise<readonly string[]>
  /** By how much the time of an answer may lag behind that of what was just written: a kernel stamps files by its last tick, stores by whole seconds. */
  readonly clockStepMs: number
  /** Whether a key may also be a prefix of another, as in a store that has no directories: nothing relies on that. */
  readonly allowsNesting?: boolean
  remove(): Promise<void>
}

export async function collect(driver: Driver, prefix = ''): Promise<string[]> {
  const keys: string[] = []
  for await (const entry of listAll(driver, prefix)) keys.push(entry.key)
  return keys
}

export async function text(driver: Driver, key: string): Promise<string | undefined> {
  return (await driver.read(key))?.bytes.toString()
}

/** Runs what must fail and leave nothing behind, neither in lists nor beside them. */
export async function failsWithoutTrace(subject: Subject, expected: RegExp | object, action: () => Promise<unknown>) {
  const before = [await collect(subject.driver), await subject.rawTree()]
  await assert.rejects(action, expected)
  assert.deepEqual([await collect(subject.driver), await subject.rawTree()], before)
}
