import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import { parseReference, parseTag } from '../../src/oci/name.ts'
import * as layout from '../../src/registry/layout.ts'
import { decodeGarbage, decodeManifest, encodeRecord } from '../../src/registry/records.ts'
import {
  chunkOf,
  createWorld,
  elsewhere,
  hour,
  imageOf,
  pushBlob,
  pushImage,
  pushManifest,
  readBlob,
  repo,
  sha256,
  type World,
} from './harness.ts'
import { damage, flip, linkOf, scrub, settle, sweep } from './scrub-harness.ts'

const at = parseReference
const clean: readonly string[] = []

/** An image of two blobs, shared by two repositories, with nothing left to do for the sweep. */
async function createSettled(): Promise<World> {
  const world = createWorld()
  for (const repository of [repo, elsewhere]) await pushImage(world.registry, repository, 'v1')
  await settle(world)
  assert.deepEqual((await scrub(world)).told, clean)
  return world
}

async function segmentOf(world: World, text = 'layer'): Promise<string> {
  const { segments } = await linkOf(world, repo, sha256(text))
  return segments[0]?.key ?? ''
}

describe('a scrub finds', () => {
  it('nothing in a store that is whole, and reads each blob once', async () => {
    const world = createWorld()
    for (const repository of [repo, elsewhere]) await pushImage(world.registry, repository, 'v1')
    world.calls.length = 0
    const { told, counts } = await scrub(world, 'delete damaged')
    assert.deepEqual(told, clean)
    assert.equal(counts.bytes, 'layer'.length + 'config'.length)
    assert.deepEqual(
      world.calls.filter(({ method }) => ['write', 'remove', 'promote'].includes(method)),
      [],
    )
  })

  const ways: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
    'a flipped bit': flip,
    'a truncated segment': (bytes) => bytes.subarray(1),
    'a segment that is too long': (bytes) => Buffer.concat([bytes, bytes]),
  }
  for (const [name, change] of Object.entries(ways)) {
    it(`${name}; condemns the bytes, the next push heals them, and they stay until they are to be deleted`, async () => {
      const world = await createSettled()
      const segment = await segmentOf(world)
      await damage(world, segment, change)
      const before = await world.keys()
      const { findings } = await scrub(world)
      assert.deepEqual(
        findings.map(({ kind, digest, outcome }) => ({ kind, digest, outcome })),
        [{ kind: 'damaged', digest: sha256('layer'), outcome: 'found' }],
      )
      assert.deepEqual(await world.keys(), before, 'a scrub that only looks changes nothing')

      const repaired = await scrub(world, 'repair')
      assert.deepEqual(repaired.told, ['damaged: repaired', 'kept: found', 'broken: found', 'broken: found'])
      await assert.rejects(world.registry.blobs.stat(repo, sha256('layer')), { code: 'BLOB_UNKNOWN' })
      await pushImage(world.registry, repo, 'v1')
      assert.equal(await readBlob(world.registry, repo, sha256('layer')), 'layer')
      assert.equal(
        await world.registry.blobs.mount(elsewhere, sha256('layer'), { from: repo, mayPull: () => true }),
        true,
      )
      assert.deepEqual((await scrub(world, 'repair')).told, ['kept: found'])
      assert.ok((await world.keys()).includes(segment))

      assert.deepEqual((await scrub(world, 'delete damaged')).told, ['kept: deleted'])
      assert.ok(!(await world.keys()).includes(segment))
      await settle(world)
      assert.deepEqual((await scrub(world)).told, clean)
      assert.equal(await readBlob(world.registry, elsewhere, sha256('layer')), 'layer')
    })
  }

  it('a segment that is missing among others', async () => {
    const world = createWorld()
    const { id } = await world.registry.uploads.start(repo, { by: 'test' })
    for (const [text, at] of [
      ['one', 0],
      ['two', 3],
    ] as const)
      await world.registry.uploads.append(repo, id, chunkOf(text, at))
    await world.registry.uploads.close(repo, id, sha256('onetwo'), undefined)
    const { segments } = await linkOf(world, repo, sha256('onetwo'))
    await world.driver.remove(segments[1]?.key ?? '')
    const { findings } = await scrub(world, 'repair')
    assert.deepEqual(
      findings.map(({ kind }) => kind),
      ['damaged'],
    )
    assert.match(findings[0]?.detail ?? '', /is missing$/)
    await pushBlob(world.registry, repo, 'onetwo')
    assert.equal(await readBlob(world.registry, repo, sha256('onetwo')), 'onetwo')
  })

  it('one link that lies about bytes which others describe rightly, and leaves the bytes alone', async () => {
    const world = await createSettled()
    const link = await linkOf(world, repo, sha256('layer'))
    await damage(world, layout.linkKey(sha256('layer'), repo), () => encodeRecord({ ...link, size: link.size + 1 }))
    assert.deepEqual((await scrub(world, 'repair')).told, ['damaged: repaired', 'broken: found'])
    assert.equal(await readBlob(world.registry, elsewhere, sha256('layer')), 'layer')
    await pushImage(world.registry, repo, 'v1')
    assert.deepEqual((await scrub(world)).told, clean)
  })

  it('links to bytes that are gone', async () => {
    const world = await createSettled()
    await world.driver.remove(await segmentOf(world))
    const told = ['dangling: repaired', 'orphan: repaired', 'broken: found', 'broken: found']
    assert.deepEqual((await scrub(world, 'repair')).told, told)
    assert.deepEqual(await world.keys(layout.linksPrefix(sha256('layer'))), [])
    for (const repository of [repo, elsewhere]) await pushImage(world.registry, repository, 'v1')
    assert.deepEqual((await scrub(world)).told, clean)
  })

  it('a blob that nothing names, once the sweep has lost sight of it, and tells the sweep', async () => {
    const world = await createSettled()
    const lost = await pushBlob(world.registry, repo, 'lost')
    await settle(world)
    assert.deepEqual(await world.keys(layout.linksPrefix(lost)), [])
    // As power loss may leave it: the link and its bytes, and nothing of the upload.
    await pushBlob(world.registry, repo, 'lost')
    for (const key of await world.keys('uploads/')) await world.driver.remove(key)
    assert.deepEqual((await scrub(world, 'repair')).told, clean, 'it is leased')
    world.clock.now += 25 * hour
    assert.deepEqual((await scrub(world)).told, ['unused: found'])
    assert.deepEqual((await scrub(world, 'repair')).told, ['unused: repaired'])
    assert.deepEqual((await scrub(world)).told, clean, 'now the sweep knows')
    await settle(world)
    assert.deepEqual(await world.keys(layout.linksPrefix(lost)), [])
  })

  it('what was written for bytes that are gone: a body, a renewal, a mark', async () => {
    const world = await createSettled()
    const before = await world.keys()
    const orphans = [
      layout.segmentKey('dead', 0, 'x'),
      layout.renewalKey('dead2', repo),
      layout.dataMarkKey('dead3', 'x'),
    ]
    for (const key of orphans) await world.driver.write(key, Buffer.from('bytes'))
    assert.deepEqual((await scrub(world, 'repair')).told, clean, 'they are young')
    world.clock.now += 25 * hour
    assert.deepEqual((await scrub(world)).told, Array(3).fill('orphan: found'))
    assert.deepEqual((await scrub(world, 'repair')).told, Array(3).fill('orphan: repaired'))
    assert.deepEqual(await world.keys(), before)
  })

  it('tags of manifests that are gone, with their hints', async () => {
    const world = await createSettled()
    const { digest } = await pushImage(world.registry, repo, 'other', ['layer'], { annotations: { a: 'b' } })
    await settle(world)
    await world.driver.remove(layout.manifestKey(repo, digest))
    assert.deepEqual((await scrub(world)).told, ['dead tag: found'])
    assert.deepEqual((await scrub(world, 'repair')).told, ['dead tag: repaired'])
    assert.deepEqual((await scrub(world)).told, clean)
    assert.deepEqual(await world.keys(layout.namedPrefix(repo, digest)), [])
  })

  it('hints and marks that lead nowhere, unless the sweep knows of them', async () => {
    const world = await createSettled()
    const digest = sha256(imageOf('config', ['layer']))
    const hint = layout.tagHintKey(repo, digest, parseTag('gone'), 'push')
    for (const key of [hint, layout.manifestMarkKey(repo, digest, 'push', 'x')])
      await world.driver.write(key, Buffer.alloc(0))
    await world.driver.write(layout.garbageKey('x'), encodeRecord({ repository: repo, manifests: [digest] }))
    assert.deepEqual((await scrub(world, 'repair')).told, clean)
    await world.driver.remove(layout.garbageKey('x'))
    assert.deepEqual((await scrub(world)).told, ['dead hint: found'])
    assert.deepEqual((await scrub(world, 'repair')).told, ['dead hint: repaired'])
    assert.deepEqual((await scrub(world)).told, clean)
  })

  it('hints that are missing, and writes them', async () => {
    const world = await createSettled()
    const subject = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: sha256(imageOf('config', ['layer'])),
      size: 1,
    }
    await pushManifest(world.registry, repo, 'signature', imageOf('config', [], { subject }))
    const before = await world.keys('named/')
    for (const key of before) await world.driver.remove(key)
    assert.deepEqual((await scrub(world, 'repair')).told, Array(4).fill('missing hint: repaired'))
    assert.deepEqual(await world.keys('named/'), before)
    const { items } = await world.registry.referrers.list(repo, subject.digest, { limit: 10 })
    assert.equal(items.length, 1)
  })

  it('marks of deletions that were never finished, and leaves them to the next push', async () => {
    const world = await createSettled()
    const { id } = await linkOf(world, repo, sha256('layer'))
    const manifest = await world.driver.read(layout.manifestKey(repo, sha256(imageOf('config', ['layer']))))
    assert.ok(manifest !== undefined)
    const { push, digest } = decodeManifest(manifest.bytes)
    const marks = [layout.dataMarkKey(id, 'x'), layout.manifestMarkKey(repo, digest, push, 'x')]
    for (const key of marks) await world.driver.write(key, Buffer.alloc(0))
    assert.deepEqual((await scrub(world, 'repair')).told, clean, 'they may be withdrawn still')
    world.clock.now += 25 * hour
    assert.deepEqual((await scrub(world, 'repair')).told, ['condemned: found', 'condemned: found'])
    for (const repository of [repo, elsewhere]) await pushImage(world.registry, repository, 'v1')
    await settle(world)
    assert.deepEqual((await scrub(world)).told, clean)
  })

  it('a manifest that is not what its digest says, which the next push writes anew', async () => {
    const world = await createSettled()
    const digest = sha256(imageOf('config', ['layer']))
    await damage(world, layout.manifestKey(repo, digest), (bytes) =>
      Buffer.from(bytes.toString().replace('"schemaVersion":2', '"schemaVersion":7')),
    )
    assert.deepEqual((await scrub(world)).told, ['wrong manifest: found'])
    for (let i = 0; i < 2; i++) assert.deepEqual((await scrub(world, 'repair')).told, ['wrong manifest: repaired'])
    assert.equal((await world.keys('named/')).filter((key) => key.includes('damaged')).length, 1)
    await pushImage(world.registry, repo, 'v1')
    assert.deepEqual((await world.registry.manifests.get(repo, at('v1'))).bytes, imageOf('config', ['layer']))
    await settle(world)
    assert.deepEqual((await scrub(world)).told, clean)
  })

  it('records of every kind that cannot be read', async () => {
    const world = await createSettled()
    const { id } = await world.registry.uploads.start(repo, { by: 'test' })
    const { key: session } = { key: layout.sessionKey(id) }
    const digest = sha256(imageOf('config', ['layer']))
    const push = 'push'
    const plain = [
      session,
      layout.garbageKey('x'),
      layout.pushManifestKey(repo, push),
      layout.pushTagKey(repo, push, 0),
      layout.pushOverKey(repo, push),
    ]
    const records = [layout.linkKey(sha256('layer'), repo), layout.tagKey(repo, parseTag('v1'))]
    for (const key of [...plain, ...records]) await world.driver.write(key, Buffer.from('{'))
    world.clock.now += 25 * hour
    const all = plain.length + records.length
    const unreadable = async (mode: 'look' | 'repair'): Promise<readonly string[]> =>
      (await scrub(world, mode)).told.filter((each) => each.startsWith('unreadable'))
    assert.deepEqual(await unreadable('look'), Array(all).fill('unreadable: found'))
    assert.deepEqual(await unreadable('repair'), Array(all).fill('unreadable: repaired'))
    await pushImage(world.registry, repo, 'v1')
    await settle(world)
    assert.deepEqual((await scrub(world, 'repair')).told, ['dead hint: repaired'], 'that of the tag which was lost')
    assert.deepEqual((await scrub(world)).told, clean)
    assert.equal((await world.registry.manifests.get(repo, at('v1'))).digest, digest)
  })

  it('a manifest record that cannot be read, which is deleted only when damaged content is to be', async () => {
    const world = await createSettled()
    await damage(world, layout.manifestKey(repo, sha256(imageOf('config', ['layer']))), flip)
    assert.deepEqual((await scrub(world, 'repair')).told, ['unreadable: found'])
    assert.deepEqual((await scrub(world, 'delete damaged')).told, ['unreadable: repaired'])
    await pushImage(world.registry, repo, 'v1')
    await settle(world)
    assert.deepEqual((await scrub(world)).told, clean)
  })

  it('a claim that cannot be read, and keeps the bytes that are linked', async () => {
    const world = await createSettled()
    const digest = await pushBlob(world.registry, repo, 'config of power loss')
    await pushManifest(world.registry, repo, 'v2', imageOf('config of power loss', ['layer']))
    const [claim = ''] = await world.keys('uploads/')
    await damage(world, claim, () => Buffer.alloc(0))
    await world.registry.uploads.start(repo, { by: 'test' })
    world.clock.now += 25 * hour
    await sweep(world)
    assert.deepEqual((await scrub(world)).told, ['unreadable: found'])
    assert.deepEqual((await scrub(world, 'repair')).told, ['unreadable: repaired'])
    await settle(world)
    assert.equal(await readBlob(world.registry, repo, digest), 'config of power loss')
    assert.deepEqual(await world.keys('uploads/'), [])
    assert.deepEqual((await scrub(world)).told, clean)
  })

  it('what is kept of a claim, when that cannot be read', async () => {
    const world = await createSettled()
    const { id } = await linkOf(world, repo, sha256('layer'))
    const before = await world.driver.read(layout.linkedAsKey(id))
    assert.ok(before !== undefined)
    await damage(world, layout.linkedAsKey(id), () => Buffer.alloc(0))
    assert.deepEqual((await scrub(world)).told, ['unreadable: found'])
    assert.deepEqual((await scrub(world, 'repair')).told, ['unreadable: repaired'])
    const after = await world.driver.read(layout.linkedAsKey(id))
    assert.ok(after !== undefined)
    // More than before: also what the bytes are by the other algorithm.
    const { digests } = decodeGarbage(after.bytes)
    for (const digest of decodeGarbage(before.bytes).digests ?? []) assert.ok(digests?.includes(digest))
    assert.ok(digests?.includes(computeDigest('sha512', Buffer.from('layer'))))
    assert.deepEqual((await scrub(world)).told, clean)
  })

  it('keys that nobody writes', async () => {
    const world = await createSettled()
    for (const key of [
      'data/x/y',
      'uploads/x/y',
      'pushes/a!/b/c',
      'named/x/y/z',
      'tags/A/b',
      'blobs/md5/aa/aa/a!',
      'manifests/a!/x',
    ]) {
      await world.driver.write(key, Buffer.alloc(0))
    }
    assert.deepEqual(
      (await scrub(world, 'repair')).told.filter((each) => each !== 'unknown: found'),
      [],
    )
    assert.equal((await scrub(world)).counts.found.unknown, 7)
  })
})
