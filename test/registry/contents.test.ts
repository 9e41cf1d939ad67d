import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseDigest } from '../../src/oci/digest.ts'
import { noteGarbage } from '../../src/registry/garbage.ts'
import { manifestKey } from '../../src/registry/layout.ts'
import { encodeManifest } from '../../src/registry/records.ts'
import { createContents, fingerprintOf } from '../../src/registry/sweep/contents.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import { createWorld, hour, imageOf, ociManifest, pushBlob, readBlob, repo, sha256 } from './harness.ts'

describe('contents of manifests', () => {
  it('are remembered up to a size, and those that came first are forgotten first', () => {
    const contents = createContents(10_000)
    const manifests = Array.from({ length: 100 }, (_, i) => sha256(`manifest ${i}`))
    for (const manifest of manifests) contents.keep(manifest, [fingerprintOf(manifest)])
    const kept = manifests.filter((manifest) => contents.find(manifest) !== undefined)
    assert.ok(kept.length >= 10, `${kept.length} are kept`)
    assert.deepEqual(kept, manifests.slice(-kept.length))
    assert.deepEqual(contents.find(manifests[99] ?? sha256('')), [fingerprintOf(manifests[99] ?? sha256(''))])
  })

  it('of more blobs than there is room for are not remembered, and forget nothing', () => {
    const contents = createContents(1000)
    contents.keep(sha256('small'), [1])
    contents.keep(
      sha256('large'),
      Array.from({ length: 1000 }, (_, i) => i),
    )
    assert.deepEqual([contents.find(sha256('small')), contents.find(sha256('large'))], [[1], undefined])
  })

  it('keep a blob whose digest begins like one that is named, when they are read and when they are remembered', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'layer')
    const twin = parseDigest(digest.slice(0, 'sha256:'.length + 12).padEnd(digest.length, '0'))
    const text = imageOf('config', ['layer']).toString().replace(digest, twin)
    assert.ok(text.includes(twin))
    const manifest = sha256(text)
    const header = {
      digest: manifest,
      mediaType: ociManifest,
      push: '00000000-0000-4000-8000-000000000001',
      at: 0,
      by: 'test',
    }
    const key = manifestKey(repo, manifest)
    await world.context.driver.write(key, encodeManifest(header, Buffer.from(text)), {})
    world.clock.now += 50 * hour
    const sweep = createSweep({
      ...world.context,
      sweepLimits: { garbageAgeMs: 0, uploadIdleMs: hour, copyWindowMs: hour, batchSize: 1000 },
      monotonicMs: () => world.clock.now,
    })
    assert.equal((await sweep.run('sweep')).uploads, 1)
    assert.equal(await readBlob(world.registry, repo, digest), 'layer')
    let manifestReads = 0
    world.intercept = ({ method, key: read }) => void (method === 'read' && read === key && manifestReads++)
    await noteGarbage(world.context, { repository: repo, digests: [digest] }, {})
    world.clock.now += 50 * hour
    await sweep.run('sweep')
    assert.deepEqual([await world.keys('garbage/'), manifestReads], [[], 0])
    assert.equal(await readBlob(world.registry, repo, digest), 'layer')
  })
})
