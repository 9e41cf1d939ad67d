/** What is kept of records and answers is never older than the store. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseReference } from '../../src/oci/name.ts'
import { keySpace } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { createFilesystemDriver } from '../../src/storage/filesystem/driver.ts'
import { createFolder, type Folder } from '../storage/folder.ts'
import {
  chunkOf,
  createWorld,
  limits,
  ociManifest,
  pushBlob,
  pushImage,
  readBlob,
  repo,
  sha256,
  type World,
} from './harness.ts'

describe('a record that was read', () => {
  it('is looked at in the store each time, and read again when it is another', async () => {
    const { registry, other, calls } = createWorld()
    const first = await pushImage(other, repo, 'v1', ['one'])
    const read = async (): Promise<string> => {
      calls.length = 0
      const { digest } = await registry.manifests.get(repo, parseReference('v1'))
      return [digest, ...calls.map(({ method }) => method)].join(' ')
    }
    assert.equal(await read(), `${first.digest} read read`)
    assert.equal(await read(), `${first.digest} stat stat`)
    const second = await pushImage(other, repo, 'v1', ['two'])
    // Beside the look at the tag one at what it led to before.
    assert.equal(await read(), `${second.digest} stat stat read read`)
    await other.manifests.remove(repo, parseReference(second.digest))
    await assert.rejects(read(), { code: 'MANIFEST_UNKNOWN' })
    await pushImage(other, repo, 'v1', ['two'])
    assert.equal(await read(), `${second.digest} read read`)
  })
})

describe('a version', () => {
  it('of another time is another: stores name them by what is written, too', async () => {
    const { context, other } = createWorld()
    let laterMs = 0
    const stat: typeof context.driver.stat = async (key) => {
      const found = await context.driver.stat(key)
      return found && { ...found, modified: found.modified + laterMs }
    }
    const calls: string[] = []
    const read: typeof context.driver.read = (key) => {
      calls.push(key)
      return context.driver.read(key)
    }
    const registry = createLocalRegistry({ ...context, driver: { ...context.driver, stat, read } })
    const { digest } = await pushImage(other, repo, 'v1')
    const countReads = async (): Promise<number> => {
      calls.length = 0
      await registry.manifests.get(repo, parseReference(digest))
      return calls.length
    }
    assert.deepEqual([await countReads(), await countReads()], [1, 0])
    laterMs = 1000
    assert.equal(await countReads(), 1)
  })
})

describe('a small blob that was read', () => {
  const read = async ({ registry, calls }: World, text: string): Promise<string> => {
    calls.length = 0
    const found = await readBlob(registry, repo, sha256(text))
    return [found === text ? 'same' : found, ...calls.map(({ method }) => method)].join(' ')
  }

  it('is looked at in the store each time, and unknown when its link or its bytes are gone', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.other, repo, 'small')
    assert.equal(await read(world, 'small'), 'same read read')
    assert.equal(await read(world, 'small'), 'same stat stat')
    const [bytes = ''] = await world.keys('data/')
    await world.driver.remove(bytes)
    await assert.rejects(read(world, 'small'), { code: 'BLOB_UNKNOWN' })
    await world.other.blobs.remove(repo, digest)
    await pushBlob(world.other, repo, 'small')
    assert.equal(await read(world, 'small'), 'same read stat read read')
    await world.other.blobs.remove(repo, digest)
    await assert.rejects(read(world, 'small'), { code: 'BLOB_UNKNOWN' })
  })

  it('is opened instead when it is large, or lies in several segments', async () => {
    const world = createWorld()
    const [small, large] = ['s'.repeat(16_384), 'l'.repeat(16_385)]
    for (const text of [small, large]) await pushBlob(world.other, repo, text)
    assert.equal(await read(world, small), 'same read read')
    assert.equal(await read(world, large), 'same read open')
    assert.equal(await read(world, large), 'same stat open')

    const { id } = await world.other.uploads.start(repo, { by: 'somebody' })
    await world.other.uploads.append(repo, id, chunkOf('in '))
    await world.other.uploads.close(repo, id, sha256('in two'), chunkOf('two', 3))
    assert.equal(await read(world, 'in two'), 'same read open open')
  })

  it('is not kept when its bytes are not as many as its link says', async () => {
    const world = createWorld()
    await pushBlob(world.other, repo, 'small')
    const [bytes = ''] = await world.keys('data/')
    await world.driver.write(bytes, Buffer.alloc(20_000, 'x'))
    for (let times = 0; times < 2; times++)
      assert.equal(await read(world, 'small'), times === 0 ? 'xxxxx read read open' : 'xxxxx read stat open')
  })
})

describe('the referrers of a manifest in a folder', () => {
  let folder: Folder
  before(async () => {
    folder = await createFolder()
  })
  after(() => folder.remove())

  /** A registry of its own on the folder, as another process has it, that says which calls it makes; its clock is ahead: what it sees has settled. */
  async function open(aheadMs: number): Promise<{ registry: Registry; calls: string[] }> {
    const calls: string[] = []
    const now = (): number => Date.now() + aheadMs
    const driver = await createFilesystemDriver({
      root: join(folder.root, 'store'),
      keySpace,
      mount: 'local',
      ballastBytes: 0,
      now,
      createId: randomUUID,
    })
    const list: typeof driver.list = (prefix, options) => {
      calls.push(prefix)
      return driver.list(prefix, options)
    }
    const context = { driver: { ...driver, list }, limits, createId: randomUUID, now, sleep: async () => {} }
    return { registry: createLocalRegistry(context), calls }
  }

  it('are kept while nothing changed, and never longer', async () => {
    const [{ registry, calls }, { registry: other }] = [await open(10_000), await open(0)]
    const subject = await pushImage(other, repo, 'v1')
    const names = { subject: { mediaType: ociManifest, digest: subject.digest, size: subject.bytes.length } }
    const count = async (): Promise<string> => {
      calls.length = 0
      const { items } = await registry.referrers.list(repo, subject.digest, { limit: 10 })
      return `${items.length} ${calls.length === 0 ? 'kept' : 'made'}`
    }
    const push = (tag: string): Promise<{ digest: string }> => pushImage(other, repo, tag, [tag], names)
    assert.deepEqual([await count(), await count()], ['0 made', '0 kept'])
    const one = await push('one')
    const two = await push('two')
    assert.deepEqual([await count(), await count()], ['2 made', '2 kept'])
    await other.manifests.remove(repo, parseReference(one.digest))
    // A hint that leads nowhere may lead to a manifest at any moment.
    assert.deepEqual([await count(), await count()], ['1 made', '1 made'])
    await push('one')
    assert.deepEqual([await count(), await count()], ['2 made', '2 kept'])
    await other.manifests.remove(repo, parseReference(two.digest))
    assert.equal(await count(), '1 made')
    await push('two')
    // The tag that clients kept before registries had referrers; its index may change without a new name.
    await pushImage(other, repo, subject.digest.replace(':', '-'))
    assert.deepEqual([await count(), await count()], ['2 made', '2 made'])
  })

  it('are not kept while their folders are so young that they may change within the same time stamp', async () => {
    const { registry, calls } = await open(0)
    const subject = await pushImage(registry, repo, 'young')
    for (let time = 0; time < 2; time++) {
      calls.length = 0
      await registry.referrers.list(repo, subject.digest, { limit: 10 })
      assert.notEqual(calls.length, 0)
    }
  })
})
