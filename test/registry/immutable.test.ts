import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { OciError } from '../../src/oci/errors.ts'
import { parseReference, parseTag } from '../../src/oci/name.ts'
import { createImmutableTags } from '../../src/registry/immutable.ts'
import * as layout from '../../src/registry/layout.ts'
import { createWorld, elsewhere, imageOf, indexOf, pushBlob, pushImage, pushManifest, repo, sha256 } from './harness.ts'

const at = parseReference
const rules = createImmutableTags([{ repositories: 'team/app', tags: 'v*' }], 'registry.immutableTags')
const worldWithRules = () => createWorld({}, { immutableTags: rules })
const denied = { code: 'DENIED', message: /immutable.*registry\.immutableTags\[0\]: tags v\* of team\/app/ }

const first = imageOf('config', ['layer'])
const second = imageOf('config', ['layer'], { annotations: { n: '2' } })

describe('an immutable tag', () => {
  it('is created once; the same content again is fine', async () => {
    const world = worldWithRules()
    const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
    assert.equal(await pushManifest(world.registry, repo, 'v1', bytes), digest)
    assert.equal((await world.registry.manifests.get(repo, at('v1'))).digest, digest)
  })

  it('refuses other content before anything of it is written, and names the rule', async () => {
    const world = worldWithRules()
    await pushImage(world.registry, repo, 'v1')
    const before = await world.keys()
    await assert.rejects(pushManifest(world.registry, repo, 'v1', second), denied)
    assert.deepEqual(await world.keys(), before)
    await assert.rejects(world.registry.manifests.get(repo, at(sha256(second))), { code: 'MANIFEST_UNKNOWN' })
  })

  it('may be refused among other tags of one push, and then none of them is written', async () => {
    const world = worldWithRules()
    await pushImage(world.registry, repo, 'v1')
    const tags = [parseTag('v1')]
    const push = { reference: at('latest'), tags, bytes: second, by: 'test' }
    await assert.rejects(world.registry.manifests.put(repo, push), denied)
    await assert.rejects(world.registry.manifests.get(repo, at('latest')), { code: 'MANIFEST_UNKNOWN' })
  })

  it('cannot be deleted, nor its manifest; other tags of the manifest can', async () => {
    const world = worldWithRules()
    const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
    await pushManifest(world.registry, repo, 'latest', bytes)
    await assert.rejects(world.registry.manifests.remove(repo, at('v1')), denied)
    await assert.rejects(world.registry.manifests.remove(repo, at(digest)), denied)
    await world.registry.manifests.remove(repo, at('latest'))
    assert.equal((await world.registry.manifests.get(repo, at('v1'))).digest, digest)
  })

  it('is only what a rule says: other tags and other repositories move', async () => {
    const world = worldWithRules()
    await pushImage(world.registry, repo, 'latest')
    await pushManifest(world.registry, repo, 'latest', second)
    await pushImage(world.registry, elsewhere, 'v1')
    await pushManifest(world.registry, elsewhere, 'v1', second)
    await world.registry.manifests.remove(elsewhere, at('v1'))
    await world.registry.manifests.remove(repo, at(sha256(second)))
  })

  it('refuses a tag that is not there with 404', async () => {
    const { registry } = worldWithRules()
    await assert.rejects(registry.manifests.remove(repo, at('v1')), { code: 'MANIFEST_UNKNOWN' })
  })

  it('whose manifest is gone stands in nobody’s way', async () => {
    const world = worldWithRules()
    await pushImage(world.registry, repo, 'v1')
    // As a DELETE from before the rule leaves it, killed right after the manifest was gone.
    await world.driver.remove(layout.manifestKey(repo, sha256(first)))
    await assert.rejects(world.registry.manifests.remove(repo, at('v1')), { code: 'MANIFEST_UNKNOWN' })
    await pushManifest(world.registry, repo, 'v1', second)
    assert.equal((await world.registry.manifests.get(repo, at('v1'))).digest, sha256(second))
  })

  it('goes to one of two pushes at once, and the other is refused', async () => {
    const world = worldWithRules()
    for (const text of ['config', 'layer']) await pushBlob(world.registry, repo, text)
    const results = await Promise.allSettled([
      pushManifest(world.registry, repo, 'v1', first),
      pushManifest(world.other, repo, 'v1', second),
    ])
    const refused = results.filter((each) => each.status === 'rejected')
    assert.equal(refused.length, 1)
    assert.ok(refused[0]?.reason instanceof OciError && refused[0].reason.code === 'DENIED')
    const [winner] = results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    assert.equal((await world.registry.manifests.get(repo, at('v1'))).digest, winner)
    assert.deepEqual(await world.keys('pushes/'), [])
  })

  it('is not written by a push that was taken back meanwhile', async () => {
    const world = worldWithRules()
    for (const text of ['config', 'layer']) await pushBlob(world.registry, repo, text)
    let taken = 0
    world.intercept = async ({ method, key }) => {
      if (method !== 'write' || !key.startsWith('tags/') || taken++ > 0) return
      for (const entry of await world.keys('pushes/')) await world.driver.remove(entry)
      for (const hint of await world.keys('named/')) await world.driver.remove(hint)
    }
    const digest = await pushManifest(world.registry, repo, 'v1', first)
    assert.equal(taken, 2)
    const hints = await world.keys(layout.namedPrefix(repo, digest))
    assert.equal(hints.length, 1)
  })

  it('that was left without its hint gets one when it is pushed again', async () => {
    const world = worldWithRules()
    const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
    const [hint = ''] = await world.keys('named/')
    await world.driver.remove(hint)
    await pushManifest(world.registry, repo, 'v1', bytes)
    assert.equal((await world.keys(layout.namedPrefix(repo, digest))).length, 1)
    await assert.rejects(world.registry.manifests.remove(repo, at(digest)), denied)
  })

  it('refuses clients that push the entries of an index under its tag, and takes them by digest', async () => {
    const world = worldWithRules()
    for (const text of ['config', 'layer']) await pushBlob(world.registry, repo, text)
    const index = indexOf(first, second)
    await pushManifest(world.registry, repo, sha256(first), first)
    await pushManifest(world.registry, repo, sha256(second), second)
    await pushManifest(world.registry, repo, 'v1', index)
    // buildx 0.13 at its second push: every entry, then the index, to the tag.
    await assert.rejects(pushManifest(world.registry, repo, 'v1', first), denied)
    assert.equal((await world.registry.manifests.get(repo, at('v1'))).digest, sha256(index))
  })
})
