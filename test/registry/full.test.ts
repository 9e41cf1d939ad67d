import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as layout from '../../src/registry/layout.ts'
import { parseReference } from '../../src/oci/name.ts'
import { createRetention } from '../../src/registry/retention/retention.ts'
import { compileRules } from '../../src/registry/retention/rules.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import {
  chunkOf,
  createWorld,
  hour,
  imageOf,
  pushBlob,
  pushImage,
  readBlob,
  repo,
  sha256,
  type World,
} from './harness.ts'
import { damage, flip, linkOf, scrub, settle, sweep } from './scrub-harness.ts'

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
    const sweepLimits = { garbageAgeMs: 1, uploadIdleMs: hour, copyWindowMs: 1, batchSize: 10 }
    const monotonicMs = (): number => world.clock.now
    await createSweep({ ...world.context, sweepLimits, monotonicMs, tracksUntagged: () => true }).run('sweep')
    await fillUp(world)
    world.clock.now += hour
    const rules = compileRules([{ repositories: '**', untaggedMs: hour }], 'rules')
    assert.equal((await createRetention(world.context, rules).run('remove')).manifests, 1)
    await assert.rejects(world.registry.manifests.get(repo, parseReference(image)), { code: 'MANIFEST_UNKNOWN' })
  })

  it('lets the sweep forget the uploads of what a manifest names', async () => {
    const world = createWorld({}, { maxBytes: 20_000 })
    await pushImage(world.registry, repo, 'v1')
    await fillUp(world)
    world.clock.now += 25 * hour
    await sweep(world)
    assert.deepEqual(await world.keys('uploads/'), [])
    assert.equal(await readBlob(world.registry, repo, sha256('layer')), 'layer')
  })

  const findings: readonly {
    readonly what: string
    readonly told: string
    readonly harm: (world: World) => Promise<void>
  }[] = [
    {
      what: 'damaged bytes',
      told: 'damaged: repaired',
      async harm(world) {
        const { segments } = await linkOf(world, repo, sha256('other'))
        await damage(world, segments[0]?.key ?? '', flip)
      },
    },
    {
      what: 'a manifest that is not what its digest says',
      told: 'wrong manifest: repaired',
      harm: (world) =>
        damage(world, layout.manifestKey(repo, sha256(imageOf('config', ['other']))), (bytes) =>
          Buffer.from(bytes.toString().replace('"schemaVersion":2', '"schemaVersion":7')),
        ),
    },
    {
      what: 'bytes that nobody links',
      told: 'orphan: repaired',
      async harm(world) {
        await world.driver.write(layout.segmentKey('dead', 0, 'x'), Buffer.from('bytes'))
        world.clock.now += 25 * hour
      },
    },
    {
      what: 'what is kept of a claim and cannot be read',
      told: 'unreadable: repaired',
      async harm(world) {
        await settle(world)
        const { id } = await linkOf(world, repo, sha256('other'))
        await damage(world, layout.linkedAsKey(id), () => Buffer.alloc(0))
      },
    },
  ]
  for (const { what, told, harm } of findings) {
    it(`lets a scrub mend ${what}`, async () => {
      const world = createWorld({}, { maxBytes: 40_000 })
      await pushImage(world.registry, repo, 'v2', ['other'])
      await harm(world)
      await fillUp(world)
      const report = await scrub(world, 'repair')
      assert.ok(report.told.includes(told), report.told.join())
    })
  }
})
