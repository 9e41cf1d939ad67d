import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import { parseReference } from '../../src/oci/name.ts'
import { isAboutData } from '../../src/registry/layout.ts'
import { createSweep, type Sweep, type SweepDependencies } from '../../src/registry/sweep/sweep.ts'
import {
  bodyOf,
  createWorld,
  elsewhere,
  hour,
  imageOf,
  indexOf,
  pushBlob,
  pushImage,
  pushManifest,
  readBlob,
  repo,
  sha256,
  type World,
} from './harness.ts'

const at = parseReference
const minute = hour / 60

function dependenciesOf(world: World): SweepDependencies {
  return {
    ...world.context,
    sweepLimits: {
      garbageAgeMs: 10 * minute,
      uploadIdleMs: 24 * hour,
      copyWindowMs: 10 * minute,
      batchSize: 3,
    },
    monotonicMs: () => world.clock.now,
  }
}

function sweepOf(world: World): Sweep {
  return createSweep(dependenciesOf(world))
}

/** Sweeps until everything that can be due is. */
async function sweepLater(world: World, sweep = sweepOf(world)) {
  const runs = []
  for (let i = 0; i < 3; i++) {
    world.clock.now += 25 * hour
    runs.push(await sweep.run('sweep'))
  }
  return runs
}

describe('a sweep', () => {
  it('frees what a deleted manifest alone used, and nothing else', async () => {
    const world = createWorld()
    const gone = await pushImage(world.registry, repo, 'gone', ['only here', 'shared'])
    await pushImage(world.registry, repo, 'stays', ['shared'])
    await world.registry.manifests.remove(repo, at(gone.digest))
    await sweepLater(world)
    await assert.rejects(world.registry.blobs.stat(repo, sha256('only here')), { code: 'BLOB_UNKNOWN' })
    assert.equal(await readBlob(world.registry, repo, sha256('shared')), 'shared')
    assert.equal((await world.keys('data/')).filter((key) => !isAboutData(key)).length, 2)
    assert.deepEqual(await world.keys('garbage/'), [])
    assert.deepEqual(await world.keys('uploads/'), [])
  })

  it('keeps what another repository still names, and takes it when that goes too', async () => {
    const world = createWorld()
    for (const repository of [repo, elsewhere]) await pushImage(world.registry, repository, 'v1')
    await world.registry.manifests.remove(repo, at('v1'))
    await world.registry.manifests.remove(repo, at(sha256(imageOf('config', ['layer']))))
    await sweepLater(world)
    assert.equal(await readBlob(world.registry, elsewhere, sha256('layer')), 'layer')
    await world.registry.manifests.remove(elsewhere, at(sha256(imageOf('config', ['layer']))))
    await sweepLater(world)
    assert.deepEqual(await world.keys(), [])
  })

  it('finds what needs bytes under a second digest, although a link of the first led to them', async () => {
    const world = createWorld()
    const { uploads } = world.registry
    const { id } = await uploads.start(repo, { by: 'test' })
    await uploads.append(repo, id, { body: bodyOf('both') })
    const other = computeDigest('sha512', Buffer.from('both'))
    // One ends the session when the other is past its look at it.
    world.intercept = async ({ method }) => {
      if (method !== 'promote') return
      world.intercept = undefined
      await world.other.uploads.close(repo, id, sha256('both'), undefined)
    }
    await uploads.close(repo, id, other, undefined)
    await pushBlob(world.registry, repo, 'config')
    const layers = [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: other, size: 4 }]
    await pushManifest(world.registry, repo, 'v1', imageOf('config', [], { layers }))
    await pushImage(world.registry, elsewhere, 'v1', ['both'])
    await world.registry.manifests.remove(elsewhere, at(sha256(imageOf('config', ['both']))))
    await sweepLater(world)
    assert.equal(await readBlob(world.registry, repo, other), 'both')
  })

  it('keeps a digest of the bytes that nothing links for a moment: a mount may be about to link it again', async () => {
    const world = createWorld()
    const { uploads, manifests, blobs } = world.registry
    const { id } = await uploads.start(repo, { by: 'test' })
    await uploads.append(repo, id, { body: bodyOf('both') })
    const other = computeDigest('sha512', Buffer.from('both'))
    world.intercept = async ({ method }) => {
      if (method !== 'promote') return
      world.intercept = undefined
      await world.other.uploads.close(repo, id, sha256('both'), undefined)
    }
    await uploads.close(repo, id, other, undefined)
    const { digest } = await pushImage(world.registry, repo, 'v1', ['both'])
    world.clock.now += 25 * hour
    // The mount has read the link that it copies, and sleeps before it writes its own.
    world.intercept = async ({ method, key }) => {
      if (method !== 'write' || !key.startsWith('blobs/sha512')) return
      world.intercept = undefined
      await world.other.blobs.remove(repo, other)
      for (let i = 0; i < 3; i++) {
        await createSweep({ ...dependenciesOf(world), driver: world.driver }).run('sweep')
        world.clock.now += 11 * minute
      }
    }
    assert.equal(await blobs.mount(elsewhere, other, { from: repo, mayPull: () => true }), true)
    await pushBlob(world.registry, elsewhere, 'config')
    const layers = [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: other, size: 4 }]
    await pushManifest(world.registry, elsewhere, 'v1', imageOf('config', [], { layers }))
    await manifests.remove(repo, at(digest))
    await sweepLater(world)
    assert.equal(await readBlob(world.registry, elsewhere, other), 'both')
  })

  it('leaves bytes alone that a client may go on with, although nothing names them and their lease is over', async () => {
    const world = createWorld({ leaseMs: hour })
    const { uploads } = world.registry
    const { id } = await uploads.start(repo, { by: 'test' })
    await uploads.append(repo, id, { body: bodyOf('blob') })
    world.intercept = ({ method, key }) => {
      if (method === 'remove' && key.endsWith('/session')) throw new Error('killed')
    }
    await assert.rejects(uploads.close(repo, id, sha256('blob'), undefined), /killed/)
    world.intercept = undefined
    const { digest } = await pushImage(world.registry, elsewhere, 'v1', ['blob'])
    await world.registry.manifests.remove(elsewhere, at(digest))
    world.clock.now += 2 * hour
    await sweepOf(world).run('sweep')
    await uploads.close(repo, id, sha256('blob'), undefined)
    assert.equal(await readBlob(world.registry, repo, sha256('blob')), 'blob')
    await sweepLater(world)
    assert.deepEqual(await world.keys('data/'), [])
  })

  it('leaves a blob alone for its lease, named or not, and then takes what nothing names', async () => {
    const world = createWorld()
    const digest = await pushBlob(world.registry, repo, 'abc')
    const sweep = sweepOf(world)
    world.clock.now += 23 * hour
    await sweep.run('sweep')
    await world.registry.blobs.stat(repo, digest)
    world.clock.now += 23 * hour
    await sweep.run('sweep')
    assert.equal((await world.registry.blobs.stat(repo, digest)).size, 3)
    await sweepLater(world, sweep)
    assert.deepEqual(await world.keys(), [])
  })

  it('ends uploads that were abandoned, claimed, cancelled or refused, with their bytes', async () => {
    const world = createWorld()
    const { uploads } = world.registry
    await uploads.start(repo, { by: 'test' })
    const claimed = await uploads.start(repo, { by: 'test' })
    await uploads.append(repo, claimed.id, { body: bodyOf('abc') })
    const cancelled = await uploads.start(repo, { by: 'test' })
    await uploads.append(repo, cancelled.id, { body: bodyOf('def') })
    await uploads.cancel(repo, cancelled.id)
    await uploads.put(repo, sha256('x'), { body: bodyOf('y') }, { by: 'test' }).catch(() => undefined)
    await sweepOf(world).run('sweep')
    assert.equal((await uploads.status(repo, claimed.id)).offset, 3, 'a living upload is left alone')
    await sweepLater(world)
    assert.deepEqual(await world.keys(), [])
  })

  it('takes back a push whose process is gone', async () => {
    const world = createWorld()
    await pushBlob(world.registry, repo, 'config')
    world.intercept = ({ method }) => {
      if (method === 'promote') throw new Error('killed')
    }
    await assert.rejects(pushManifest(world.registry, repo, 'v1', imageOf('config', [])), /killed/)
    world.intercept = undefined
    assert.ok((await world.keys('pushes/')).length > 0)
    await sweepLater(world)
    assert.deepEqual(await world.keys(), [])
  })

  it('removes the tags of a manifest whose DELETE was killed, and its marks and hints', async () => {
    const world = createWorld()
    const { digest } = await pushImage(world.registry, repo, 'v1')
    world.intercept = ({ method, key }) => {
      if (method === 'remove' && key.startsWith('tags/')) throw new Error('killed')
    }
    await assert.rejects(world.registry.manifests.remove(repo, at(digest)), /killed/)
    world.intercept = undefined
    assert.deepEqual((await world.keys('tags/')).length, 1)
    const [, second] = await sweepLater(world)
    assert.ok(second !== undefined)
    assert.deepEqual(await world.keys(), [])
  })

  it('keeps an index with its entries, and frees all of it once it is deleted', async () => {
    const world = createWorld()
    const image = await pushImage(world.registry, repo, 'v1')
    const index = await pushManifest(world.registry, repo, 'multi', indexOf(image.bytes))
    await world.registry.manifests.remove(repo, at('v1'))
    await sweepLater(world)
    assert.equal(await readBlob(world.registry, repo, sha256('layer')), 'layer')
    await world.registry.manifests.remove(repo, at(index))
    await world.registry.manifests.remove(repo, at(image.digest))
    await sweepLater(world)
    assert.deepEqual(await world.keys(), [])
  })

  it('that only looks changes nothing and counts what would be removed', async () => {
    const world = createWorld()
    const { digest } = await pushImage(world.registry, repo, 'v1')
    await world.registry.manifests.remove(repo, at(digest))
    world.clock.now += 25 * hour
    const before = await world.keys()
    const counts = await sweepOf(world).run('look')
    assert.deepEqual(await world.keys(), before)
    assert.equal(counts.blobs, 2)
    assert.equal(counts.freedBytes, 'config'.length + 'layer'.length)
    const real = await sweepOf(world).run('sweep')
    assert.deepEqual({ blobs: real.blobs, freedBytes: real.freedBytes }, { blobs: 2, freedBytes: 11 })
  })

  it('removes what a start-up check left that was killed, and not what one is at', async () => {
    const world = createWorld()
    await world.driver.write('scratch/killed', Buffer.from('x'))
    world.clock.now += 2 * hour
    await world.driver.write('scratch/running', Buffer.from('x'))
    await sweepOf(world).run('sweep')
    assert.deepEqual(await world.keys('scratch/'), ['scratch/running'])
  })

  it('stops when it is told to, and the next one goes on', async () => {
    const world = createWorld()
    for (let i = 0; i < 10; i++) await pushBlob(world.registry, repo, `blob ${i}`)
    world.clock.now += 25 * hour
    const stop = new AbortController()
    world.intercept = ({ method, key }) => {
      if (method === 'remove' && key.startsWith('data/')) stop.abort()
    }
    await assert.rejects(sweepOf(world).run('sweep', { signal: stop.signal }))
    world.intercept = undefined
    await sweepLater(world)
    assert.deepEqual(await world.keys(), [])
  })

  it('goes on past records that power loss has torn, counts them, and touches nothing that they may concern', async () => {
    const world = createWorld()
    const { digest } = await pushImage(world.registry, repo, 'v1')
    for (let i = 0; i < 5; i++) await pushBlob(world.registry, elsewhere, `blob ${i}`)
    const claims = (await world.keys('uploads/')).filter((key) => /\/0{16}$/.test(key))
    for (const key of claims.slice(0, 2)) await world.driver.write(key, Buffer.alloc(0))
    await world.driver.write('garbage/torn', Buffer.alloc(0))
    await world.driver.write(`pushes/${repo.replace('/', '.')}!/torn/manifest`, Buffer.alloc(0))
    await world.driver.write(`pushes/${repo.replace('/', '.')}!/torn/tag-0`, Buffer.from('{'))
    const runs = await sweepLater(world)
    assert.ok(runs.every(({ unreadable }) => unreadable > 0))
    assert.equal((await world.registry.manifests.get(repo, at('v1'))).digest, digest)
    for (const text of ['config', 'layer']) assert.equal(await readBlob(world.registry, repo, sha256(text)), text)
    assert.ok((await world.keys('data/')).filter((key) => !key.includes('~')).length <= 4, 'all else is swept')
  })

  it('does not touch blobs of a repository with a manifest that cannot be read: it may name them', async () => {
    const world = createWorld()
    await pushImage(world.registry, repo, 'v1')
    const [key = ''] = await world.keys('manifests/')
    await world.driver.write('scratch/torn', Buffer.alloc(0))
    await world.driver.promote('scratch/torn', key)
    await sweepLater(world)
    assert.equal(await readBlob(world.registry, repo, sha256('layer')), 'layer')
  })

  it('may be run by several processes at once', async () => {
    const world = createWorld()
    for (let i = 0; i < 20; i++) await pushBlob(world.registry, repo, `blob ${i}`)
    await pushImage(world.registry, repo, 'v1')
    world.clock.now += 25 * hour
    await Promise.all([1, 2, 3].map(() => sweepOf(world).run('sweep')))
    await sweepLater(world)
    assert.equal((await world.keys('data/')).filter((key) => !isAboutData(key)).length, 2)
    assert.deepEqual(await world.keys('garbage/'), [])
  })
})
