import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseReference } from '../../src/oci/name.ts'
import { chunkOf, createWorld, pushBlob, pushImage, readBlob, repo, sha256, type World } from './harness.ts'

const full = { reason: 'full' }

/** A store without room for another byte. */
async function fill(): Promise<{ readonly world: World; readonly image: string }> {
  const world = createWorld({}, { maxBytes: 20_000 })
  const { digest } = await pushImage(world.registry, repo, 'v1')
  await pushImage(world.registry, repo, 'v2', ['other'])
  await pushBlob(world.registry, repo, 'alone')
  for (let size = 8192; size >= 1; size = Math.floor(size / 2)) {
    for (;;) {
      try {
        await world.driver.write(`scratch/${size}-${(await world.keys('scratch/')).length}`, Buffer.alloc(size))
      } catch {
        break
      }
    }
  }
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
})
