import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import { parseReference, parseTag } from '../../src/oci/name.ts'
import {
  createWorld,
  elsewhere,
  imageOf,
  indexOf,
  ociIndex,
  ociManifest,
  pushBlob,
  pushImage,
  pushManifest,
  repo,
  sha256,
  type World,
} from './harness.ts'

const unknown = { code: 'MANIFEST_UNKNOWN' }
const at = parseReference

async function get(world: World, reference: string): Promise<string> {
  return (await world.registry.manifests.get(repo, at(reference))).digest
}

describe('a manifest', () => {
  it('comes back byte for byte, by tag and by digest, with the media type it was pushed as', async () => {
    const world = createWorld()
    const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
    for (const reference of ['v1', digest]) {
      const manifest = await world.other.manifests.get(repo, at(reference))
      assert.deepEqual(manifest.bytes, bytes)
      assert.equal(manifest.mediaType, ociManifest)
      assert.equal(manifest.digest, digest)
    }
    await assert.rejects(world.registry.manifests.get(elsewhere, at('v1')), unknown)
    await assert.rejects(world.registry.manifests.get(repo, at('v2')), unknown)
  })

  it('is refused while the repository lacks what it names, each named, and leaves only garbage to collect', async () => {
    const world = createWorld()
    await pushBlob(world.registry, repo, 'config')
    await pushBlob(world.registry, elsewhere, 'layer')
    const push = pushManifest(world.registry, repo, 'v1', imageOf('config', ['layer', 'other']))
    const detail = [{ digest: sha256('layer') }, { digest: sha256('other') }]
    await assert.rejects(push, { code: 'MANIFEST_BLOB_UNKNOWN', detail })
    assert.deepEqual(await world.keys('manifests/'), [])
    assert.deepEqual(await world.keys('tags/'), [])
    assert.deepEqual(await world.keys('pushes/'), [])
    const index = pushManifest(world.registry, repo, 'v1', indexOf(imageOf('config', [])))
    await assert.rejects(index, { code: 'MANIFEST_BLOB_UNKNOWN' })
  })

  it('is refused when its bytes have another digest than the URL', async () => {
    const { registry } = createWorld()
    const { bytes } = await pushImage(registry, repo, 'v1')
    await assert.rejects(pushManifest(registry, repo, sha256('x'), bytes), { code: 'DIGEST_INVALID' })
    const sha512 = computeDigest('sha512', bytes)
    assert.equal(await pushManifest(registry, repo, sha512, bytes), sha512)
  })

  it('may name foreign layers that are nowhere, an absent subject, no layers, no entries', async () => {
    const world = createWorld()
    await pushBlob(world.registry, repo, 'config')
    const foreign = { ...foreignLayer('far'), urls: ['https://far.example/layer'] }
    const subject = { mediaType: ociManifest, digest: sha256('absent'), size: 6 }
    const bytes = imageOf('config', [], { layers: [foreign], subject })
    const pushed = await world.registry.manifests.put(repo, { reference: at('v1'), tags: [], bytes, by: 'test' })
    assert.equal(pushed.subject, subject.digest)
    await pushManifest(world.registry, repo, 'v2', imageOf('config', []))
    await pushManifest(world.registry, repo, 'v3', indexOf())
  })

  it('takes further tags with it', async () => {
    const world = createWorld()
    const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
    const tags = ['a', 'b', 'a'].map(parseTag)
    await world.registry.manifests.put(repo, { reference: at(digest), tags, bytes, by: 'test' })
    const fresh = imageOf('config', [])
    const reference = at(sha256(fresh))
    await world.registry.manifests.put(repo, { reference, tags: tags.slice(1), bytes: fresh, by: 'test' })
    assert.equal(await get(world, 'a'), sha256(fresh))
    assert.equal(await get(world, 'b'), sha256(fresh))
    assert.deepEqual((await world.registry.tags.list(repo, { limit: 10 })).items, ['a', 'b', 'v1'])
  })

  it('needs no write when it is pushed again unchanged', async () => {
    const world = createWorld()
    const { bytes } = await pushImage(world.registry, repo, 'v1')
    const before = await world.keys()
    await pushManifest(world.registry, repo, 'v1', bytes)
    assert.deepEqual(await world.keys(), before)
  })
})

function foreignLayer(text: string): object {
  const mediaType = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'
  return { mediaType, digest: sha256(text), size: text.length }
}

describe('a tag', () => {
  it('moves to the manifest pushed last, and the old one is noted for the sweep', async () => {
    const world = createWorld()
    const first = await pushImage(world.registry, repo, 'v1', ['one'])
    const second = await pushImage(world.registry, repo, 'v1', ['two'])
    assert.equal(await get(world, 'v1'), second.digest)
    assert.equal(await get(world, first.digest), first.digest)
    const entries = await Promise.all((await world.keys('garbage/')).map((key) => world.driver.read(key)))
    assert.ok(entries.some((entry) => entry?.bytes.includes(first.digest)))
  })

  it('is deleted alone; its manifest stays', async () => {
    const world = createWorld()
    const { digest } = await pushImage(world.registry, repo, 'v1')
    await world.registry.manifests.remove(repo, at('v1'))
    await assert.rejects(get(world, 'v1'), unknown)
    await assert.rejects(world.registry.manifests.remove(repo, at('v1')), unknown)
    assert.equal(await get(world, digest), digest)
    assert.deepEqual((await world.registry.tags.list(repo, { limit: 10 })).items, [])
  })

  it('is followed when it moves and its old manifest is deleted between two reads', async () => {
    const world = createWorld()
    const old = await pushImage(world.registry, repo, 'v1', ['one'])
    world.intercept = async ({ method, key }) => {
      if (!['read', 'stat'].includes(method) || !key.startsWith('manifests/')) return
      world.intercept = undefined
      await pushImage(world.other, repo, 'v1', ['two'])
      await world.other.manifests.remove(repo, at(old.digest))
    }
    assert.equal(await get(world, 'v1'), sha256(imageOf('config', ['two'])))
  })
})

describe('the delete of a manifest', () => {
  it('takes all its tags with it, at once and everywhere', async () => {
    const world = createWorld()
    const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
    await pushManifest(world.registry, repo, 'v2', bytes)
    const other = await pushImage(world.registry, repo, 'v3', ['else'])
    await world.registry.manifests.remove(repo, at(digest))
    for (const reference of ['v1', 'v2', digest]) {
      await assert.rejects(world.other.manifests.get(repo, at(reference)), unknown)
    }
    assert.deepEqual((await world.registry.tags.list(repo, { limit: 10 })).items, ['v3'])
    assert.equal(await get(world, 'v3'), other.digest)
    await assert.rejects(world.registry.manifests.remove(repo, at(digest)), unknown)
    assert.ok(!(await world.keys('named/')).some((key) => key.includes('/!')))
  })

  it('is refused while an index names it, and allowed when the index is gone', async () => {
    const world = createWorld()
    const image = await pushImage(world.registry, repo, 'v1')
    const index = await pushManifest(world.registry, repo, 'multi', indexOf(image.bytes))
    const remove = (): Promise<void> => world.registry.manifests.remove(repo, at(image.digest))
    await assert.rejects(remove(), { code: 'UNSUPPORTED', detail: { index } })
    assert.ok(!(await world.keys('named/')).some((key) => key.includes('/!')))
    await world.registry.manifests.remove(repo, at(index))
    await remove()
  })

  it('never leaves an index without its entry, whenever the index is pushed meanwhile', async () => {
    for (let step = 0; ; step++) {
      const world = createWorld()
      const image = await pushImage(world.registry, repo, 'v1')
      let seen = 0
      let pushed: string | undefined
      world.intercept = async () => {
        if (seen++ === step) {
          pushed = await pushManifest(world.other, repo, 'multi', indexOf(image.bytes)).catch(() => undefined)
        }
      }
      await world.registry.manifests.remove(repo, at(image.digest)).catch(() => undefined)
      world.intercept = undefined
      if (seen <= step) break
      if (pushed !== undefined) assert.equal(await get(world, image.digest), image.digest, `pushed before call ${step}`)
    }
  })
})

describe('a push and a DELETE of the same manifest', () => {
  it('end with everything the later of them said, wherever the DELETE falls', async () => {
    for (let step = 0; ; step++) {
      const world = createWorld()
      const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
      let seen = 0
      world.intercept = async () => {
        if (seen++ === step) await world.other.manifests.remove(repo, at(digest))
      }
      await pushManifest(world.registry, repo, 'v2', bytes)
      world.intercept = undefined
      if (seen <= step) break
      const byTag = await get(world, 'v2').catch(() => 'gone')
      const byDigest = await get(world, digest).catch(() => 'gone')
      assert.equal(byTag, byDigest, `deleted before driver call ${step}`)
    }
  })

  it('a push that begins after the mark makes a new incarnation, which the DELETE does not touch', async () => {
    const world = createWorld()
    const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
    world.intercept = async ({ method, key }) => {
      if (method !== 'remove' || !key.startsWith('manifests/')) return
      world.intercept = undefined
      await pushManifest(world.other, repo, 'v2', bytes)
    }
    await world.registry.manifests.remove(repo, at(digest))
    assert.equal(await get(world, 'v2').catch(() => 'gone'), await get(world, digest).catch(() => 'gone'))
  })

  it('writes a tag anew that stems from before the DELETE: its removal may still be under way', async () => {
    const world = createWorld()
    const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
    const [tag = ''] = await world.keys('tags/')
    const old = await world.driver.read(tag)
    // The DELETE dies right after the manifest is gone: the tag is dead, and a clean-up may have seen it so.
    world.intercept = ({ method, key }) => {
      if (method === 'remove' && key === tag) throw new Error('killed')
    }
    await assert.rejects(world.registry.manifests.remove(repo, at(digest)), /killed/)
    world.intercept = undefined
    await pushManifest(world.registry, repo, 'v2', bytes)
    await pushManifest(world.registry, repo, 'v1', bytes)
    assert.equal(await world.driver.remove(tag, { ifUnchanged: old?.version ?? '' }), 'changed')
    assert.equal(await get(world, 'v1'), digest)
  })
})

describe('a marked entry of an index', () => {
  it('is pushed again from its own bytes', async () => {
    const world = createWorld()
    const image = await pushImage(world.registry, repo, 'v1')
    const { driver } = world
    const named = (await world.keys('named/'))[0] ?? ''
    const manifest = await driver.read((await world.keys('manifests/'))[0] ?? '')
    const push = /"push":"([^"]+)"/.exec(manifest?.bytes.toString() ?? '')?.[1]
    await driver.write(`${named.slice(0, named.lastIndexOf('/'))}/!${push}.dead`, Buffer.alloc(0))
    world.clock.now += 61_000
    await pushManifest(world.registry, repo, 'multi', indexOf(image.bytes))
    const again = await driver.read(
      (await world.keys('manifests/')).find((key) => key.includes(image.digest.slice(7))) ?? '',
    )
    assert.ok(!again?.bytes.includes(`"push":"${push}"`))
    assert.equal(await get(world, image.digest), image.digest)
  })
})

describe('a push that names marked bytes', () => {
  async function markLayer(world: World): Promise<Buffer> {
    await pushBlob(world.registry, repo, 'config')
    const [bytes = ''] = await world.keys('data/')
    await world.driver.write(`${bytes.slice(0, bytes.lastIndexOf('/'))}/!sweep`, Buffer.alloc(0))
    return imageOf('config', [])
  }

  it('is asked to try again while the mark is fresh, and leaves nothing in flight', async () => {
    const world = createWorld()
    const bytes = await markLayer(world)
    await assert.rejects(pushManifest(world.registry, repo, 'v1', bytes), { code: 'UNAVAILABLE' })
    assert.deepEqual(await world.keys('pushes/'), [])
  })

  it('is asked to upload them again when the mark is old', async () => {
    const world = createWorld()
    const bytes = await markLayer(world)
    world.clock.now += 61_000
    await assert.rejects(pushManifest(world.registry, repo, 'v1', bytes), { code: 'MANIFEST_BLOB_UNKNOWN' })
    await pushBlob(world.registry, repo, 'config')
    await pushManifest(world.registry, repo, 'v1', bytes)
  })

  it('holds an entry of an index that is deleted while it waits, or refuses', async () => {
    const world = createWorld()
    const image = await pushImage(world.registry, repo, 'v1')
    const named = (await world.keys('named/'))[0] ?? ''
    const manifest = await world.driver.read((await world.keys('manifests/'))[0] ?? '')
    const push = /"push":"([^"]+)"/.exec(manifest?.bytes.toString() ?? '')?.[1]
    const mark = `${named.slice(0, named.lastIndexOf('/'))}/!${push}.other`
    await world.driver.write(mark, Buffer.alloc(0))
    let reads = 0
    world.intercept = async ({ method, key }) => {
      if (method !== 'read' || !key.includes(image.digest.slice(7)) || !key.startsWith('manifests/')) return
      // The DELETE that left the mark ends right before the second look at the entry.
      if (++reads !== 2) return
      await world.driver.remove(key)
      await world.driver.remove(mark)
    }
    const index = await pushManifest(world.registry, repo, 'multi', indexOf(image.bytes)).catch(() => undefined)
    world.intercept = undefined
    if (index !== undefined) assert.equal(await get(world, image.digest), image.digest)
  })
})

describe('parallel pushes of one image', () => {
  it('all succeed', async () => {
    const world = createWorld()
    for (const text of ['config', 'layer']) await pushBlob(world.registry, repo, text)
    const bytes = imageOf('config', ['layer'])
    const pushes = Array.from({ length: 20 }, (_, i) =>
      pushManifest(i % 2 === 0 ? world.registry : world.other, repo, `v${i % 3}`, bytes),
    )
    await Promise.all(pushes)
    for (const tag of ['v0', 'v1', 'v2']) assert.equal(await get(world, tag), sha256(bytes))
    assert.deepEqual(await world.keys('pushes/'), [])
  })
})

describe('an index', () => {
  it('may list blobs, as the registry cache of BuildKit does', async () => {
    const world = createWorld()
    await pushBlob(world.registry, repo, 'layer')
    const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip'
    const manifests = [{ mediaType, digest: sha256('layer'), size: 5 }]
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }))
    assert.equal(await pushManifest(world.registry, repo, 'cache', bytes), sha256(bytes))
  })
})
