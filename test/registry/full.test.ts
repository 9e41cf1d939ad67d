import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseReference } from '../../src/oci/name.ts'
import { createRetention } from '../../src/registry/retention/retention.ts'
import { compileRules } from '../../src/registry/retention/rules.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import { chunkOf, createWorld, hour, pushBlob, pushImage, readBlob, repo, sha256, type World } from './harness.ts'

const full = { reason: 'full' }

async function fillUp(world: World): Promise<void> {
  for (let size = 8192; size >= 1; size = Math.floor(size / 2)) {
    for (;;) {
      try {
        await world.driver.write(`scratch/${size}-${(await world.keys('scratch/')).length}`, Buffer.alloc(size))
      } catch {
        break
      }
    }
  }
}

/** A store without room for another byte. */
async function fill(): Promise<{ readonly world: World; readonly image: string }> {
  const world = createWorld({}, { maxBytes: 20_000 })
  const { digest } = await pushImage(world.registry, repo, 'v1')
  await pushImage(world.registry, repo, 'v2', ['other'])
  await pushBlob(world.registry, repo, 'alone')
  await fillUp(world)
  return { world, image: digest }
}

describe('a store that is full', () => {
  it('refuses what needs room and leaves nothing of it, and reads go on', async () => {
    const { world } = await fill()
    const before = await world.keys()
    await assert.rejects(world.registry.uploads.start(repo, { by: 'test' }), full)
    await assert.rejects(world.registry.uploads.put(repo, sha256('x'), chunkOf('x'), { by: 'test' }), full)
    assert.deepEqual(await world.keys(), before)
    assert.equal(await readBlob(world.registry, repo, sha256('layer')), 'layer')
  })

  it('deletes blobs, tags and manifests all the same', async () => {
    const { world, image } = await fill()
    await world.registry.blobs.remove(repo, sha256('alone'))
    await assert.rejects(world.registry.blobs.stat(repo, sha256('alone')), { code: 'BLOB_UNKNOWN' })
    await world.registry.manifests.remove(repo, parseReference('v2'))
    await world.registry.manifests.remove(repo, parseReference(image))
    await assert.rejects(world.registry.manifests.get(repo, parseReference('v1')), { code: 'MANIFEST_UNKNOWN' })
  })

  it('lets the sweep note what lost its tag, and retention remove what is due', async () => {
    const { world, image } = await fill()
    await world.registry.manifests.remove(repo, parseReference('v1'))
    world.clock.now += hour
    const sweepLimits = { garbageAgeMs: 1, uploadIdleMs: hour, pushIdleMs: hour, copyWindowMs: 1, batchSize: 10 }
    const monotonicMs = (): number => world.clock.now
    await createSweep({ ...world.context, sweepLimits, monotonicMs, tracksUntagged: () => true }).run('sweep')
    await fillUp(world)
    world.clock.now += hour
    const rules = compileRules([{ repositories: '**', untaggedMs: hour }], 'rules')
    assert.equal((await createRetention(world.context, rules).run('remove')).manifests, 1)
    await assert.rejects(world.registry.manifests.get(repo, parseReference(image)), { code: 'MANIFEST_UNKNOWN' })
  })
})
