/** How many driver calls an operation makes (docs/storage has the table): a call more is noticed here before it is on a bill. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseReference } from '../../src/oci/name.ts'
import { createKeptRecords } from '../../src/registry/kept.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import {
  chunkOf,
  createWorld,
  elsewhere,
  imageOf,
  pushBlob,
  pushImage,
  pushManifest,
  repo,
  sha256,
  type World,
} from './harness.ts'

interface Counts {
  write: number
  list: number
  read: number
  remove: number
}

const classes: Readonly<Record<string, keyof Counts>> = {
  write: 'write',
  writeStream: 'write',
  promote: 'write',
  list: 'list',
  read: 'read',
  stat: 'read',
  open: 'read',
  remove: 'remove',
}

async function count(world: World, run: () => Promise<unknown>): Promise<Counts> {
  world.calls.length = 0
  await run()
  const counts = { write: 0, list: 0, read: 0, remove: 0 }
  for (const { method } of world.calls) counts[classes[method] ?? 'write']++
  return counts
}

describe('driver calls', () => {
  it('of a new blob by POST and PUT', async () => {
    const world = createWorld()
    const counts = await count(world, async () => {
      await world.registry.blobs.stat(repo, sha256('abc')).catch(() => undefined)
      const { id } = await world.registry.uploads.start(repo, { by: 'test' })
      await world.registry.uploads.close(repo, id, sha256('abc'), chunkOf('abc'))
    })
    assert.deepEqual(counts, { write: 5, list: 2, read: 3, remove: 1 })
  })

  it('of a new blob by POST, PATCH and PUT, with HEAD before and after', async () => {
    const world = createWorld()
    const counts = await count(world, async () => {
      await world.registry.blobs.stat(repo, sha256('abc')).catch(() => undefined)
      const { id } = await world.registry.uploads.start(repo, { by: 'test' })
      await world.registry.uploads.append(repo, id, chunkOf('abc'))
      await world.registry.uploads.close(repo, id, sha256('abc'), undefined)
      await world.registry.blobs.stat(repo, sha256('abc'))
    })
    assert.deepEqual(counts, { write: 5, list: 4, read: 5, remove: 1 })
  })

  it('of a manifest of n blobs with a tag: new, moved, and again', async () => {
    const world = createWorld()
    const layers = ['a', 'b', 'c']
    const n = layers.length + 1
    for (const text of ['config', ...layers]) await pushBlob(world.registry, repo, text)
    const { bytes } = await pushImage(world.registry, elsewhere, 'v1', layers)
    const push = (): Promise<unknown> => pushManifest(world.registry, repo, 'v1', bytes)
    assert.deepEqual(await count(world, push), { write: 5, list: n, read: n + 3, remove: 0 })
    assert.deepEqual(await count(world, push), { write: 0, list: 1, read: 2, remove: 0 })
    const other = imageOf('config', ['a'])
    const moved = await count(world, () => pushManifest(world.registry, repo, 'v1', other))
    assert.deepEqual(moved, { write: 6, list: 2, read: 2 + 3, remove: 0 })
  })

  it('of HEAD and of a mount', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    const head = await count(world, () => world.registry.blobs.stat(repo, digest))
    assert.deepEqual(head, { write: 0, list: 1, read: 1, remove: 0 })
    const source = { from: repo, mayPull: () => true }
    const mount = await count(world, () => world.registry.blobs.mount(elsewhere, digest, source))
    assert.deepEqual(mount, { write: 1, list: 1, read: 2, remove: 0 })
  })

  it('of a pull by tag with n blobs', async () => {
    const world = createWorld()
    const { digest } = await pushImage(world.registry, repo, 'v1')
    const counts = await count(world, async () => {
      await world.registry.manifests.get(repo, parseReference('v1'))
      await world.registry.manifests.get(repo, parseReference(digest))
      for (const text of ['config', 'layer']) {
        const blob = await world.registry.blobs.open(repo, sha256(text), (size) => [{ start: 0, end: size }])
        await blob.close()
      }
    })
    assert.deepEqual(counts, { write: 0, list: 0, read: 2 + 1 + 2 * 2, remove: 0 })
  })

  it('of the URL of a blob; where there is none, only the link is read', async () => {
    const world = createWorld()
    const { registry, context } = world
    const signUrl = async (key: string): Promise<string> => `https://store/${key}`
    const { blobs } = createLocalRegistry({ ...context, driver: { ...context.driver, signUrl } })
    const text = 'too many for the memory'.repeat(1000)
    const digest = await pushBlob(registry, repo, text)
    const { id } = await registry.uploads.start(repo, { by: 'test' })
    await registry.uploads.append(repo, id, chunkOf(text))
    await registry.uploads.append(repo, id, chunkOf(text, text.length))
    const { digest: inTwo } = await registry.uploads.close(repo, id, sha256(text + text), undefined)
    const small = await pushBlob(registry, repo, 'abc')
    const signed = await count(world, async () => {
      assert.equal((await blobs.sign(repo, digest))?.size, text.length)
    })
    assert.deepEqual(signed, { write: 0, list: 0, read: 2, remove: 0 })
    for (const each of [small, inTwo]) {
      const direct = await count(world, async () => assert.equal(await blobs.sign(repo, each), undefined))
      assert.deepEqual(direct, { write: 0, list: 0, read: 1, remove: 0 })
    }
    const unsigned = await count(world, async () => assert.equal(await registry.blobs.sign(repo, digest), undefined))
    assert.deepEqual(unsigned, { write: 0, list: 0, read: 0, remove: 0 })
  })

  it('of the URL of a blob whose link was read before: the link and the bytes are looked at together', async () => {
    const world = createWorld()
    const { registry, context, calls } = world
    const driver = { ...context.driver, signUrl: async (key: string): Promise<string> => `https://store/${key}` }
    const { blobs } = createLocalRegistry({ ...context, driver, kept: createKeptRecords() })
    const digest = await pushBlob(registry, repo, 'too many for the memory'.repeat(1000))
    const first = await blobs.sign(repo, digest)
    calls.length = 0
    const second = blobs.sign(repo, digest)
    assert.deepEqual(
      new Set(calls.map(({ method, key }) => `${method} ${key.split('/')[0]}`)),
      new Set(['stat blobs', 'stat data']),
    )
    assert.deepEqual(await second, first)
    assert.equal(calls.length, 2)
    await registry.blobs.remove(repo, digest)
    assert.equal(await blobs.sign(repo, digest), undefined)
  })

  it('of a DELETE of a manifest with t tags, and of a blob', async () => {
    const world = createWorld()
    const { digest, bytes } = await pushImage(world.registry, repo, 'v1')
    await pushManifest(world.registry, repo, 'v2', bytes)
    const t = 2
    const manifest = await count(world, () => world.registry.manifests.remove(repo, parseReference(digest)))
    assert.deepEqual(manifest, { write: 2, list: 4, read: 1 + 2 * t, remove: t + 2 })
    const blob = await count(world, () => world.registry.blobs.remove(repo, sha256('layer')))
    assert.deepEqual(blob, { write: 1, list: 0, read: 1, remove: 1 })
  })
})
