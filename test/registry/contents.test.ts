import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LRUCache } from 'lru-cache'
import { type Digest, parseDigest } from '../../src/oci/digest.ts'
import type { RepositoryName } from '../../src/oci/name.ts'
import { noteGarbage } from '../../src/registry/garbage.ts'
import { manifestKey, pushManifestKey } from '../../src/registry/layout.ts'
import { encodeManifest } from '../../src/registry/records.ts'
import { createContents, fingerprintOf } from '../../src/registry/sweep/contents.ts'
import { createCounts, type SweepContext } from '../../src/registry/sweep/context.ts'
import { createGroupSize } from '../../src/registry/sweep/group-size.ts'
import { findNamed } from '../../src/registry/sweep/names.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import {
  createWorld,
  elsewhere,
  hour,
  imageOf,
  ociManifest,
  pushBlob,
  readBlob,
  repo,
  sha256,
  type World,
} from './harness.ts'

const push = '00000000-0000-4000-8000-000000000001'
const sweepLimits = { garbageAgeMs: 0, uploadIdleMs: hour, copyWindowMs: hour, batchSize: 1000 }

const layer = sha256('layer')
const other = sha256('other')
/** Has the same fingerprint as `layer`. */
const twin = parseDigest(layer.slice(0, 'sha256:'.length + 13).padEnd(layer.length, '0'))

function createQuestions(world: World): SweepContext {
  return {
    ...world.context,
    sweepLimits,
    counts: createCounts(),
    mode: 'look',
    monotonicMs: () => world.clock.now,
    contents: createContents(10_000),
    seenSince: new LRUCache({ max: 1 }),
    groupSize: createGroupSize(1),
    report: () => undefined,
  }
}

/** Writes a manifest that names these and a config, or of which `bytes` are there instead. */
async function writeManifest(
  { context }: World,
  repository: RepositoryName,
  layers: readonly Digest[],
  { isPushed = false, bytes }: { readonly isPushed?: boolean; readonly bytes?: string } = {},
): Promise<void> {
  const texts = layers.map((_, i) => `layer ${i}`)
  let text = imageOf('config', texts).toString()
  for (const [i, each] of layers.entries()) text = text.replace(sha256(`layer ${i}`), each)
  const digest = sha256(text)
  const record = encodeManifest({ digest, mediaType: ociManifest, push, at: 0, by: 'test' }, Buffer.from(bytes ?? text))
  const key = isPushed ? pushManifestKey(repository, push) : manifestKey(repository, digest)
  await context.driver.write(key, record, {})
}

describe('contents of manifests', () => {
  it('are remembered up to a size, and those that came first are forgotten first, asked for or not', () => {
    const contents = createContents(10_000)
    const manifests = Array.from({ length: 100 }, (_, i) => sha256(`manifest ${i}`))
    for (const manifest of manifests) {
      contents.keep(manifest, [fingerprintOf(manifest)])
      contents.find(manifests[0] ?? manifest)
    }
    const kept = manifests.filter((manifest) => contents.find(manifest) !== undefined)
    assert.ok(kept.length >= 10, `${kept.length} are kept`)
    assert.deepEqual(kept, manifests.slice(-kept.length))
    assert.deepEqual(contents.find(manifests[99] ?? layer), [fingerprintOf(manifests[99] ?? layer)])
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
})

describe('what a repository names', () => {
  for (const wanted of [
    [layer, twin],
    [twin, layer],
  ])
    it(`is what is named and what begins like it, asked for in the order ${wanted.indexOf(layer)}`, async () => {
      const world = createWorld()
      await writeManifest(world, repo, [layer])
      const sweep = createQuestions(world)
      for (const how of ['read', 'remembered']) {
        const named = await findNamed(sweep, repo, new Set([...wanted, other]), {})
        assert.deepEqual(named, new Map(wanted.map((digest) => [digest, 'manifest'])), how)
      }
    })

  it('is what pushes name, then what manifests do, and everything else when one cannot be read', async () => {
    const world = createWorld()
    await writeManifest(world, repo, [layer, twin], { isPushed: true })
    assert.equal((await findNamed(createQuestions(world), repo, new Set([layer]), {})).get(layer), 'push')
    await writeManifest(world, repo, [layer])
    await writeManifest(world, repo, [sha256('unknown')], { bytes: 'torn' })
    const named = await findNamed(createQuestions(world), repo, new Set([layer, other]), {})
    assert.deepEqual(Object.fromEntries(named), { [layer]: 'manifest', [other]: 'push' })
  })

  it('is not what the damaged copy of another repository says', async () => {
    const world = createWorld()
    await writeManifest(world, elsewhere, [layer], { bytes: imageOf('config', []).toString() })
    await writeManifest(world, repo, [layer])
    const sweep = createQuestions(world)
    assert.equal((await findNamed(sweep, elsewhere, new Set([layer]), {})).get(layer), 'push')
    assert.equal(sweep.counts.unreadable, 1)
    assert.equal((await findNamed(sweep, repo, new Set([layer]), {})).get(layer), 'manifest')
  })

  it('is kept by a sweep: also a blob that only begins like one that is named', async () => {
    const world = createWorld()
    await pushBlob(world.registry, repo, 'layer')
    await writeManifest(world, repo, [twin])
    world.clock.now += 50 * hour
    const monotonicMs = (): number => world.clock.now
    const sweep = createSweep({ ...world.context, sweepLimits, monotonicMs })
    assert.equal((await sweep.run('sweep')).uploads, 1)
    assert.equal(await readBlob(world.registry, repo, layer), 'layer')
    let manifestReads = 0
    world.intercept = ({ method, key }) => void (method === 'read' && key.startsWith('manifests/') && manifestReads++)
    await noteGarbage(world.context, { repository: repo, digests: [layer] }, {})
    world.clock.now += 50 * hour
    await sweep.run('sweep')
    assert.deepEqual([await world.keys('garbage/'), manifestReads], [[], 0])
    assert.equal(await readBlob(world.registry, repo, layer), 'layer')
  })
})
