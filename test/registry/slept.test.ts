/** A process that sleeps between what it writes for the sweep and what that is for: when it wakes, a lease is over and the sweep has been there. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseTag } from '../../src/oci/name.ts'
import { dataMarkKey, dataPrefix, linkKey, manifestKey, namedPrefix, tagKey } from '../../src/registry/layout.ts'
import { decodeLink } from '../../src/registry/records.ts'
import { StorageError } from '../../src/storage/driver.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import {
  createWorld,
  hour,
  imageOf,
  limits,
  pushBlob,
  pushImage,
  pushManifest,
  repo,
  sha256,
  type World,
} from './harness.ts'

const layer = sha256('layer')

/** Sweeps as another process does, until nothing waits for a lease; uploads in flight are left alone at first. */
async function sweepUntilDone(world: World, uploadIdleMs: number): Promise<void> {
  const sweep = createSweep({
    ...world.context,
    driver: world.driver,
    sweepLimits: { garbageAgeMs: 0, uploadIdleMs, copyWindowMs: hour, batchSize: 1000 },
    monotonicMs: () => world.clock.now,
  })
  for (let i = 0; i < 3; i++) {
    await sweep.run('sweep')
    world.clock.now += 2 * limits.leaseMs
  }
}

/** Sleeps for some leases before its first call of this kind for this key, while another process sweeps. Throws when there was none. */
async function sleepBefore(world: World, method: string, key: string, act: () => Promise<unknown>): Promise<void> {
  let hasSlept = false
  world.intercept = async (call) => {
    if (hasSlept || call.method !== method || call.key !== key) return
    hasSlept = true
    world.clock.now += limits.leaseMs * 1.1
    await sweepUntilDone(world, 100 * limits.leaseMs)
    assert.deepEqual(await world.keys('garbage/'), [], 'the sweep has left what was written for it')
  }
  await act()
  assert.ok(hasSlept, `no ${method} of ${key}`)
  world.intercept = undefined
  world.clock.now += 2 * limits.leaseMs
  await sweepUntilDone(world, hour)
}

async function readId({ driver }: World): Promise<string> {
  const stored = await driver.read(linkKey(layer, repo))
  assert.ok(stored !== undefined)
  return decodeLink(stored.bytes).id
}

describe('who sleeps for longer than a lease', () => {
  it('and then deletes a manifest leaves nothing of it', async () => {
    const world = createWorld()
    const { digest } = await pushImage(world.registry, repo, 'v1')
    const remove = (): Promise<void> => world.registry.manifests.remove(repo, { kind: 'digest', digest })
    await sleepBefore(world, 'remove', manifestKey(repo, digest), remove)
    for (const prefix of ['blobs/', 'data/', 'manifests/', 'named/', 'tags/', 'uploads/']) {
      assert.deepEqual(await world.keys(prefix), [])
    }
  })

  it('and then deletes a blob leaves no bytes of it', async () => {
    const world = createWorld()
    await pushImage(world.registry, repo, 'v1')
    const id = await readId(world)
    await sleepBefore(world, 'remove', linkKey(layer, repo), () => world.registry.blobs.remove(repo, layer))
    assert.deepEqual(await world.keys(dataPrefix(id)), [])
  })

  it('and then links new bytes leaves none of the old ones, which somebody had begun to collect', async () => {
    const world = createWorld()
    await pushImage(world.registry, repo, 'v1')
    const id = await readId(world)
    await world.driver.write(dataMarkKey(id, 'dead'), Buffer.alloc(0), {})
    world.clock.now += hour
    await sleepBefore(world, 'promote', linkKey(layer, repo), () => pushBlob(world.registry, repo, 'layer'))
    assert.notEqual(await readId(world), id)
    assert.deepEqual(await world.keys(dataPrefix(id)), [])
  })

  it('answers what it did, also when the store takes no second entry', async () => {
    const world = createWorld()
    const { digest } = await pushImage(world.registry, repo, 'v1')
    let notes = 0
    world.intercept = ({ method, key }) => {
      if (method === 'remove' && key === manifestKey(repo, digest)) world.clock.now += limits.leaseMs
      if (method === 'write' && key.startsWith('garbage/') && ++notes > 1) throw new StorageError('unavailable', 'away')
    }
    await world.registry.manifests.remove(repo, { kind: 'digest', digest })
    assert.equal(notes, 2)
  })

  for (const { what, method, act } of [
    {
      what: 'moves a tag',
      method: 'promote',
      act: ({ registry }: World) => pushManifest(registry, repo, 'v1', imageOf('config', [])),
    },
    {
      what: 'deletes a tag',
      method: 'remove',
      act: ({ registry }: World) => registry.manifests.remove(repo, { kind: 'tag', tag: parseTag('v1') }),
    },
  ])
    it(`and then ${what} leaves no hint that it names the old manifest`, async () => {
      const world = createWorld({ pushIdleMs: 100 * limits.leaseMs })
      const { digest } = await pushImage(world.registry, repo, 'v1')
      assert.equal((await world.keys(namedPrefix(repo, digest))).length, 1)
      await sleepBefore(world, method, tagKey(repo, parseTag('v1')), () => act(world))
      assert.deepEqual(await world.keys(namedPrefix(repo, digest)), [])
    })
})
