/** On a store that copies where others move, the sweep waits until nothing that it took back can land any more. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSweep, type Sweep } from '../../src/registry/sweep/sweep.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { bodyOf, createWorld, hour, repo, sha256, type World } from './harness.ts'

const day = 24 * hour
const windowMs = 600_000

function sweepOf(world: World): Sweep {
  const driver: Driver = { ...world.context.driver, promotion: 'copy' }
  return createSweep({
    ...world.context,
    driver,
    sweepLimits: { garbageAgeMs: 0, uploadIdleMs: day, copyWindowMs: windowMs, batchSize: 3 },
    monotonicMs: () => world.clock.now,
  })
}

describe('a sweep of a store that copies', () => {
  it('leaves the bytes of an upload until a copy of its link has landed or failed', async () => {
    const world = createWorld()
    const { id } = await world.registry.uploads.start(repo, { by: 'test' })
    await world.registry.uploads.append(repo, id, { body: bodyOf('abc') })
    world.clock.now += 2 * day
    const sweep = sweepOf(world)
    await sweep.run('sweep')
    assert.deepEqual(
      (await world.keys()).map((key) => key.split('/')[0]),
      ['data', 'uploads'],
    )
    assert.ok(sweep.awaitsCopies())
    world.clock.now += windowMs
    await sweep.run('sweep')
    assert.deepEqual(await world.keys(), [])
    assert.ok(!sweep.awaitsCopies())
  })

  it('takes bytes at once that were never claimed: nothing can link them, and nothing would lead to them later', async () => {
    const world = createWorld()
    const { id } = await world.registry.uploads.start(repo, { by: 'test' })
    world.intercept = ({ method, key }) => {
      if (method === 'write' && key.startsWith(`uploads/${id}/`)) throw new Error('killed')
    }
    await assert.rejects(world.registry.uploads.append(repo, id, { body: bodyOf('abc') }), /killed/)
    world.intercept = undefined
    assert.equal((await world.keys('data/')).length, 1)
    world.clock.now += 2 * day
    await sweepOf(world).run('sweep')
    assert.deepEqual(await world.keys(), [])
  })

  it('takes them also when the closing request was killed before its claim', async () => {
    const world = createWorld()
    const { id } = await world.registry.uploads.start(repo, { by: 'test' })
    let written = 0
    world.intercept = ({ method, key }) => {
      // The entry is written, the claim is not, and nobody cleans up.
      if (method === 'remove' || (method === 'write' && key.startsWith('uploads/') && written++ > 0)) {
        throw new Error('killed')
      }
    }
    const closing = world.registry.uploads.close(repo, id, sha256('abc'), { body: bodyOf('abc') })
    await assert.rejects(closing, /killed/)
    world.intercept = undefined
    assert.deepEqual(
      (await world.keys()).map((key) => key.replace(/.*\/(\w+).*/, '$1').replace(/\d.*/, '')),
      ['', 'close', 'session'],
    )
    world.clock.now += 2 * day
    await sweepOf(world).run('sweep')
    assert.deepEqual(await world.keys(), [])
  })
})
