import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import { parseName } from '../../src/oci/name.ts'
import { keySpace, linkKey } from '../../src/registry/layout.ts'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { createMemoryDriver } from '../../src/storage/memory.ts'
import { meterDriver } from '../../src/storage/metered.ts'

/** A metered store in memory whose clock moves on by a millisecond at every look. */
function record(adapt: (driver: Driver) => Driver = (same) => same) {
  const calls: string[] = []
  let now = 0
  const driver = meterDriver(
    adapt(createMemoryDriver({ keySpace, now: Date.now, createId: randomUUID })),
    { record: (operation, outcome, ms) => void calls.push(`${operation} ${outcome} ${ms}`) },
    () => now++,
  )
  return { driver, calls }
}

const link = linkKey(computeDigest('sha256', Buffer.from('x')), parseName('team/app'))

test('every call is told with how it ended and how long it took', async () => {
  const { driver, calls } = record()
  await driver.read('uploads/a/session')
  await driver.stat('uploads/a/session')
  await driver.write('uploads/a/session', Buffer.from('x'))
  await driver.write('uploads/a/session', Buffer.from('x'), { ifAbsent: true })
  await (await driver.open('uploads/a/session', { start: 0, end: 1 }))?.close()
  const writer = await driver.writeStream('data/a/0')
  await writer.write(Buffer.from('x'))
  await writer.seal()
  await driver.promote('uploads/a/session', link)
  await driver.promote('uploads/a/absent', link)
  await driver.list('uploads/', { limit: 1 })
  await driver.remove('data/a/0')
  await driver.remove('data/a/0')
  await driver.tidy()
  assert.deepEqual(calls, [
    'read absent 1',
    'stat absent 1',
    'write done 1',
    'write exists 1',
    'open done 1',
    'writeStream done 1',
    'seal done 1',
    'promote done 1',
    'promote refused 1',
    'list done 1',
    'remove done 1',
    'remove absent 1',
    'tidy done 1',
  ])
})

test('a failure is told by its reason, and passed on as it is', async () => {
  const errors = {
    full: new StorageError('full', 'no room'),
    unavailable: new StorageError('unavailable', 'gone'),
    'read-only': new StorageError('read-only', 'no writes'),
    aborted: AbortSignal.abort().reason,
    failed: new Error('a bug'),
  }
  for (const [outcome, error] of Object.entries(errors)) {
    const { driver, calls } = record((inner) => ({ ...inner, read: () => Promise.reject(error) }))
    await assert.rejects(driver.read('berth'), (thrown) => thrown === error)
    assert.deepEqual(calls, [`read ${outcome} 1`])
  }
})
