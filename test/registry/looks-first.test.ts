/** On a store that looks before it removes, a removal may hit what was written in between: the sweep leaves such removals alone where something could be lost. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseReference } from '../../src/oci/name.ts'
import { noteGarbage } from '../../src/registry/garbage.ts'
import { manifestKey } from '../../src/registry/layout.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { createWorld, hour, pushBlob, pushImage, readBlob, repo, sha256, type World } from './harness.ts'

const at = parseReference
const day = 24 * hour

function createWorldThatLooksFirst(): { readonly world: World; readonly sweep: () => Promise<unknown> } {
  const world = createWorld()
  const driver: Driver = { ...world.context.driver, removal: 'looks first' }
  const sweep = createSweep({
    ...world.context,
    driver,
    sweepLimits: { garbageAgeMs: 0, uploadIdleMs: day, copyWindowMs: 0, batchSize: 3 },
    monotonicMs: () => world.clock.now,
  })
  return { world, sweep: () => sweep.run('sweep') }
}

describe('a sweep of a store that looks before it removes', () => {
  it('leaves the links of bytes it deleted, once and for all', async () => {
    const { world, sweep } = createWorldThatLooksFirst()
    await pushBlob(world.registry, repo, 'nobody names this')
    for (let i = 0; i < 3; i++) {
      world.clock.now += 2 * day
      await sweep()
    }
    const [link = '', ...others] = await world.keys()
    assert.match(link, /^blobs\//)
    assert.deepEqual(others, [])
    await assert.rejects(world.registry.blobs.stat(repo, sha256('nobody names this')), { code: 'BLOB_UNKNOWN' })
    await pushBlob(world.registry, repo, 'nobody names this')
    assert.equal(await readBlob(world.registry, repo, sha256('nobody names this')), 'nobody names this')
  })

  it('marks nothing for a dead link that an entry leads to', async () => {
    const { world, sweep } = createWorldThatLooksFirst()
    await pushBlob(world.registry, repo, 'nobody names this')
    for (let i = 0; i < 2; i++) {
      world.clock.now += 2 * day
      await sweep()
    }
    await noteGarbage(world.context, { digests: [sha256('nobody names this')] }, {})
    world.clock.now += 2 * day
    world.calls.length = 0
    await sweep()
    assert.deepEqual(
      world.calls.filter(({ method, key }) => method === 'write' && key.startsWith('data/')),
      [],
    )
    assert.deepEqual(await world.keys('garbage/'), [])
  })

  it('removes a dead tag when nobody has moved it for a lease, and remembers it until then', async () => {
    const { world, sweep } = createWorldThatLooksFirst()
    const image = await pushImage(world.registry, repo, 'v1')
    // A DELETE that was killed between the manifest and its tag.
    world.intercept = ({ method, key }) => {
      if (method === 'remove' && key.startsWith('tags/')) throw new Error('killed')
    }
    await assert.rejects(world.registry.manifests.remove(repo, at(image.digest)), /killed/)
    world.intercept = undefined
    assert.equal(await world.driver.stat(manifestKey(repo, sha256(image.bytes))), undefined)
    world.clock.now += hour
    await sweep()
    assert.equal((await world.keys('tags/')).length, 1)
    assert.equal((await world.keys('garbage/')).length, 1)
    world.clock.now += 2 * day
    await sweep()
    assert.deepEqual(await world.keys('tags/'), [])
  })
})
