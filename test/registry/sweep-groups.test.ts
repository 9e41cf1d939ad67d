import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDataMark } from '../../src/registry/layout.ts'
import { createSweep, type Sweep } from '../../src/registry/sweep/sweep.ts'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { createWorld, hour, pushBlob, readBlob, repo, sha256, type World } from './harness.ts'

/** More than are marked together at first. */
const blobs = 70

/** Blobs that nothing names, so old that a sweep takes them all, in groups; `settle` is what it calls between bytes and links. */
async function createGarbage(settle: Driver['settle']): Promise<{ readonly world: World; readonly sweep: Sweep }> {
  const world = createWorld()
  for (let i = 0; i < blobs; i++) await pushBlob(world.registry, repo, `blob ${i}`)
  world.clock.now += 50 * hour
  const sweep = createSweep({
    ...world.context,
    driver: { ...world.context.driver, settle },
    sweepLimits: { garbageAgeMs: 0, uploadIdleMs: hour, copyWindowMs: hour, batchSize: 1000 },
    monotonicMs: () => world.clock.now,
  })
  return { world, sweep }
}

describe('groups of a sweep', () => {
  it('are looked at and marked while the bytes of the one before are deleted, whose links wait for these', async () => {
    const secondMarked = Promise.withResolvers<void>()
    let [marks, settled] = [0, 0]
    const { world, sweep } = await createGarbage(async () => {
      await secondMarked.promise
      settled++
    })
    world.intercept = ({ method, key }) => {
      if (method === 'write' && isDataMark(key) && ++marks > 50) secondMarked.resolve()
      if (method === 'remove' && key.startsWith('blobs/')) assert.ok(settled > 0, `${key} is removed too early`)
    }
    const counts = await sweep.run('sweep')
    assert.deepEqual([counts.blobs, counts.uploads, counts.failed, settled], [blobs, blobs, 0, 2])
    assert.deepEqual(await world.keys('data/'), [])
    assert.deepEqual(await world.keys('blobs/'), [])
    assert.deepEqual(await world.keys('uploads/'), [])
  })

  it('whose bytes are not known to be gone keep what leads to them, and are taken by the next run', async () => {
    let fails = true
    const { world, sweep } = await createGarbage(() => {
      if (!fails) return Promise.resolve()
      fails = false
      return Promise.reject(new StorageError('unavailable', 'the disk did not answer'))
    })
    const { uploads, failed, failure } = await sweep.run('sweep')
    assert.deepEqual([uploads, failed, failure], [blobs - 50, 1, 'the disk did not answer'])
    assert.equal((await world.keys('blobs/')).length, 50)
    assert.equal((await world.keys('uploads/')).length, 50)
    assert.equal((await sweep.run('sweep')).uploads, 50)
    assert.deepEqual(await world.keys('blobs/'), [])
  })

  it('end with the run: what stopped it is told when nothing of it goes on any more', async () => {
    const { promise: stopped, resolve: go } = Promise.withResolvers<void>()
    let hasEnded = false
    const { world, sweep } = await createGarbage(async () => {
      await stopped
      hasEnded = true
    })
    let marks = 0
    world.intercept = ({ method, key }) => {
      if (method !== 'write' || !isDataMark(key) || ++marks !== 51) return
      setImmediate(go)
      throw new Error('a bug')
    }
    await assert.rejects(sweep.run('sweep'), /a bug/)
    assert.ok(hasEnded)
    world.intercept = undefined
    await sweep.run('sweep')
    assert.deepEqual(await world.keys('blobs/'), [])
    await assert.rejects(readBlob(world.registry, repo, sha256('blob 0')), { code: 'BLOB_UNKNOWN' })
  })
})
