import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Digest } from '../../src/oci/digest.ts'
import { parseName } from '../../src/oci/name.ts'
import { decodeGarbage } from '../../src/registry/records.ts'
import { StorageError } from '../../src/storage/driver.ts'
import { chunkOf, createWorld, elsewhere, hour, pushBlob, readBlob, repo, sha256, type World } from './harness.ts'

type Call = World['calls'][number]

const unknown = { code: 'BLOB_UNKNOWN' }
const anybody = { mayPull: () => true }

async function dataKey(world: World, name: string): Promise<string> {
  const [key = ''] = await world.keys('data/')
  return `${key.slice(0, key.lastIndexOf('/'))}/${name}`
}

describe('a blob', () => {
  it('is there for its repository only', async () => {
    const { registry } = createWorld()
    const digest = await pushBlob(registry, repo, 'abc')
    assert.deepEqual(await registry.blobs.stat(repo, digest), { digest, size: 3 })
    await assert.rejects(registry.blobs.stat(elsewhere, digest), unknown)
    await assert.rejects(
      registry.blobs.open(elsewhere, digest, () => [{ start: 0, end: 3 }]),
      unknown,
    )
  })

  it('is unknown to HEAD and GET alike when its bytes are gone', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    for (const key of await world.keys('data/')) await world.driver.remove(key)
    await assert.rejects(world.registry.blobs.stat(repo, digest), unknown)
    await assert.rejects(
      world.registry.blobs.open(repo, digest, () => [{ start: 0, end: 3 }]),
      unknown,
    )
  })

  it('is read from the bytes of another upload when the link is replaced between two steps', async () => {
    for (const text of ['abc', 'too many for the memory'.repeat(1000)]) {
      const world = createWorld()
      const digest = await pushBlob(world.registry, repo, text)
      const [bytes = ''] = await world.keys('data/')
      world.intercept = async ({ key }) => {
        if (key !== bytes) return
        world.intercept = undefined
        await world.driver.remove(bytes)
        await pushBlob(world.other, repo, text)
      }
      assert.equal(await readBlob(world.registry, repo, digest), text)
      assert.equal(world.intercept, undefined)
    }
  })

  it('lets out what the choice of ranges throws, and holds nothing open', async () => {
    const { registry } = createWorld()
    const digest = await pushBlob(registry, repo, 'abc')
    const choose = (size: number): never => {
      throw new Error(`no range of ${size}`)
    }
    await assert.rejects(registry.blobs.open(repo, digest, choose), /no range of 3/)
  })

  it('is gone at once when it is deleted, everywhere, and stays in other repositories', async () => {
    const { registry, other, keys } = createWorld()
    const digest = await pushBlob(registry, repo, 'abc')
    await pushBlob(registry, elsewhere, 'abc')
    await registry.blobs.remove(repo, digest)
    await assert.rejects(other.blobs.stat(repo, digest), unknown)
    await assert.rejects(other.blobs.remove(repo, digest), unknown)
    assert.equal(await readBlob(other, elsewhere, digest), 'abc')
    assert.equal((await keys('data/')).length, 2, 'a request never deletes claimed bytes')
  })

  it('is deleted although its link was replaced meanwhile', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    const [bytes = ''] = await world.keys('data/')
    world.intercept = async ({ method, key }) => {
      if (method !== 'remove' || !key.startsWith('blobs/')) return
      world.intercept = undefined
      await world.driver.remove(bytes)
      await pushBlob(world.other, repo, 'abc')
    }
    await world.registry.blobs.remove(repo, digest)
    await assert.rejects(world.registry.blobs.stat(repo, digest), unknown)
  })
})

describe('the lease of a blob', () => {
  it('is renewed by HEAD when half of it is spent, once, and before the look that counts', async () => {
    const world = createWorld()
    const { registry, clock, calls } = world
    const digest = await pushBlob(registry, repo, 'abc')
    clock.now += 11 * hour
    await registry.blobs.stat(repo, digest)
    assert.ok(!(await world.keys('data/')).some((key) => key.includes('/~')))
    clock.now += 2 * hour
    calls.length = 0
    await registry.blobs.stat(repo, digest)
    assert.deepEqual(
      calls.map(({ method }) => method),
      // The link was read before: whether it stands is looked at.
      ['stat', 'stat', 'list', 'write', 'list'],
    )
    clock.now += 11 * hour
    calls.length = 0
    await registry.blobs.stat(repo, digest)
    assert.ok(!calls.some(({ method }) => method === 'write'), 'the renewal is young enough')
    clock.now += 2 * hour
    await registry.blobs.stat(repo, digest)
    assert.ok(calls.some(({ method }) => method === 'write'))
  })

  it('is not taken over from a renewal that appears after the look: a collector may have looked before it', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    world.clock.now += 13 * hour
    const mark = await dataKey(world, '!sweep')
    world.intercept = async ({ method, key }) => {
      if (method !== 'stat' && !(method === 'list' && key.startsWith('data/'))) return
      world.intercept = undefined
      // Somebody else renews in between, and a collector that has looked at renewals before marks the bytes.
      await world.driver.write(mark, Buffer.alloc(0))
      await world.driver.write(await dataKey(world, '~team.app!'), Buffer.alloc(0))
    }
    await assert.rejects(world.registry.blobs.stat(repo, digest), unknown)
  })

  it('is not promised when a mark was written before the renewal', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    world.clock.now += 13 * hour
    const mark = await dataKey(world, '!sweep')
    world.intercept = async ({ method, key }) => {
      if (method === 'write' && key.includes('/~')) await world.driver.write(mark, Buffer.alloc(0))
    }
    await assert.rejects(world.registry.blobs.stat(repo, digest), unknown)
  })
})

describe('a mark on the bytes of a blob', () => {
  it('is waited for while it is fresh: it may be taken back', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    const mark = await dataKey(world, '!sweep')
    await world.driver.write(mark, Buffer.alloc(0))
    world.intercept = async ({ method }) => {
      if (method === 'list' && world.slept.length === 2) await world.driver.remove(mark)
    }
    assert.equal((await world.registry.blobs.stat(repo, digest)).size, 3)
    assert.equal(world.slept.length, 2)
  })

  it('that stays means unknown, after a bounded wait', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    await world.driver.write(await dataKey(world, '!sweep'), Buffer.alloc(0))
    await assert.rejects(world.registry.blobs.stat(repo, digest), unknown)
    const waited = world.slept.reduce((sum, ms) => sum + ms, 0)
    assert.ok(waited >= 2_000 && waited < 5_000, `waited ${waited} ms`)
  })

  it('that is old means unknown at once; images that are there keep working', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    await world.driver.write(await dataKey(world, '!sweep'), Buffer.alloc(0))
    world.clock.now += 61_000
    await assert.rejects(world.registry.blobs.stat(repo, digest), unknown)
    assert.deepEqual(world.slept, [])
    assert.equal(await readBlob(world.registry, repo, digest), 'abc')
    assert.equal(await world.registry.blobs.mount(elsewhere, digest, { from: repo, ...anybody }), false)
  })
})

describe('a mount', () => {
  it('takes a blob from a named repository without moving bytes', async () => {
    const { registry, keys } = createWorld()
    const digest = await pushBlob(registry, repo, 'abc')
    assert.equal(await registry.blobs.mount(elsewhere, digest, { from: repo, ...anybody }), true)
    assert.equal(await readBlob(registry, elsewhere, digest), 'abc')
    assert.equal((await keys('data/')).length, 1)
  })

  it('finds a repository by itself among those that may be pulled', async () => {
    const { registry } = createWorld()
    const digest = await pushBlob(registry, repo, 'abc')
    const secret = { mayPull: (name: string) => name !== repo }
    assert.equal(await registry.blobs.mount(elsewhere, digest, secret), false)
    assert.equal(await registry.blobs.mount(elsewhere, digest, { from: repo, ...secret }), false)
    await assert.rejects(registry.blobs.stat(elsewhere, digest), unknown)
    assert.equal(await registry.blobs.mount(elsewhere, digest, anybody), true)
    assert.equal(await registry.blobs.mount(elsewhere, digest, secret), true, 'it is there already')
  })

  it('comes to nothing for what is not there, and leaves nothing', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    const nobody = parseName('no/body')
    assert.equal(await world.registry.blobs.mount(elsewhere, sha256('x'), anybody), false)
    assert.equal(await world.registry.blobs.mount(elsewhere, digest, { from: nobody, ...anybody }), false)
    for (const key of await world.keys('data/')) await world.driver.remove(key)
    const before = await world.keys()
    assert.equal(await world.registry.blobs.mount(elsewhere, digest, { from: repo, ...anybody }), false)
    assert.deepEqual(await world.keys(), before)
  })

  const operations: Readonly<Record<string, (world: World, digest: Digest) => Promise<unknown>>> = {
    mount: ({ registry }, digest) => registry.blobs.mount(elsewhere, digest, { from: repo, ...anybody }),
    'upload that shares bytes': ({ registry }, digest) =>
      registry.uploads.put(elsewhere, digest, chunkOf('abc'), { by: 'test' }),
  }
  /** What fails behind the link: a look at bytes that are sound, and each step of one that cannot be relied on. */
  const failures = [
    { what: 'the first look', isMarked: false, fails: ({ method }: Call, nth: number) => method === 'list' && nth > 0 },
    {
      what: 'the look at the bytes',
      isMarked: true,
      fails: ({ method }: Call, nth: number) => method === 'list' && nth > 2,
    },
    {
      what: 'the note',
      isMarked: true,
      fails: ({ key }: Call, nth: number) => key.startsWith('garbage/') && nth === 1,
    },
  ]
  for (const [name, operation] of Object.entries(operations)) {
    for (const { what, isMarked, fails } of failures) {
      it(`(${name}) tells the sweep of its link when the store fails at ${what}`, async () => {
        const world = createWorld()
        const digest = await pushBlob(world.registry, repo, 'abc')
        if (isMarked) await world.driver.write(await dataKey(world, '!sweep'), Buffer.alloc(0))
        world.clock.now += hour
        const nths: Record<string, number> = {}
        world.calls.length = 0
        world.intercept = (call) => {
          const isWritten = world.calls.some(({ method, key }) => method === 'write' && key.startsWith('blobs/'))
          if (!isWritten || call.key.startsWith('blobs/') || call.key.startsWith('uploads/')) return
          const nth = (nths[call.method] = (nths[call.method] ?? 0) + 1)
          if (fails(call, nth)) throw new StorageError('unavailable', 'away')
        }
        await assert.rejects(operation(world, digest), { reason: 'unavailable' })
        world.intercept = undefined
        assert.equal((await world.keys('blobs/')).length, 2)
        const notes = await Promise.all((await world.keys('garbage/')).map((key) => world.driver.read(key)))
        assert.ok(notes.some((note) => note && decodeGarbage(note.bytes).digests?.includes(digest)))
      })
    }
  }

  it('tells nobody of a link that was not made', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    world.intercept = ({ method, key }) => {
      if (method === 'write' && key.startsWith('blobs/')) throw new StorageError('full', 'no room')
    }
    await assert.rejects(operations['mount']?.(world, digest) ?? Promise.resolve(), { reason: 'full' })
    assert.deepEqual(await world.keys('garbage/'), [])
  })
})
