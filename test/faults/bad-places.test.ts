/** Where a key that fails for good once ended every run, hid what lies beside it, or was told of wrongly. */
import assert from 'node:assert/strict'
import { after, before, describe as suite, it, type TestContext } from 'node:test'
import { parseName, parseReference } from '../../src/oci/name.ts'
import { linkedAsKey, linkKey, pushesPrefix, segmentKey } from '../../src/registry/layout.ts'
import { decodeLink } from '../../src/registry/records.ts'
import type { ScrubMode } from '../../src/registry/scrub/context.ts'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { chunkOf, hour, imageOf, pushBlob, pushImage, pushManifest, repo, sha256 } from '../registry/harness.ts'
import { keysOf, type Method, withBadKeys, withHook } from './bad-store.ts'
import { createWorlds, type World, writeBytes } from './world.ts'

const everything: readonly Method[] = ['read', 'open', 'stat', 'remove']

suite('a key that fails for good', () => {
  let worlds: Awaited<ReturnType<typeof createWorlds>>
  before(async () => {
    worlds = await createWorlds('memory')
  })
  after(() => worlds.remove())

  async function segmentOf({ driver }: World, text: string): Promise<string> {
    const stored = await driver.read(linkKey(sha256(text), repo))
    assert.ok(stored)
    return decodeLink(stored.bytes).segments[0]?.key ?? ''
  }

  /** Runs a scrub that must come to its end; what it told, as `kind outcome key`. */
  async function scrub(world: World, driver: Driver, mode: ScrubMode): Promise<readonly string[]> {
    const told: string[] = []
    let at = ''
    await world.start(driver).scrub.run(mode, {
      onFinding: ({ kind, outcome, key }) => told.push(`${kind} ${outcome} ${key}`),
      report: (what) => {
        at = what
      },
    })
    assert.equal(at, 'uploads', 'it went through everything')
    return told
  }

  async function abandonUpload(world: World): Promise<string> {
    const { uploads } = world.start().registry
    const { id } = await uploads.start(repo, { by: 'test' })
    await uploads.append(repo, id, chunkOf('a'))
    return `uploads/${id}/`
  }

  it('is one failure, however many uploads it concerns', async (t: TestContext) => {
    const world = await worlds.create()
    const { registry } = world.start()
    await pushImage(registry, repo, 'v1', ['base'])
    for (let n = 0; n < 110; n++) await pushImage(registry, parseName(`r${n}`), 'v1', ['base'])
    const idle = await abandonUpload(world)
    const bad = linkKey(sha256('base'), repo)
    const { sweep } = world.start(withBadKeys(world.driver, ['read'], (key) => key === bad))
    world.advance(25 * hour)
    const { failed, failure } = await sweep.run('sweep')
    t.diagnostic(`${failed} works failed`)
    assert.ok(failed > 100)
    assert.equal(failure, `injected: read ${bad}`)
    assert.deepEqual(await keysOf(world, idle), [])
  })

  it('is one failure, however many batches come to it', async () => {
    const world = await worlds.create()
    const { registry } = world.start()
    await pushImage(registry, repo, 'keep', ['k'])
    const [bad] = await keysOf(world, 'manifests/')
    for (let n = 0; n < 300; n++) {
      await pushBlob(registry, repo, `l${n}`)
      const digest = await pushManifest(registry, repo, `t${n}`, imageOf('config', [`l${n}`]))
      await registry.manifests.remove(repo, parseReference(digest))
    }
    const idle = await abandonUpload(world)
    const { sweep } = world.start(withBadKeys(world.driver, ['read'], (key) => key === bad))
    world.advance(25 * hour)
    assert.ok((await sweep.run('sweep')).failed > 100)
    assert.deepEqual(await keysOf(world, idle), [])
  })

  it('adds no entry for the sweep each time that a push cannot be taken back', async () => {
    const world = await worlds.create()
    await pushImage(world.start().registry, repo, 'v1', ['base'])
    const refuse = async (): Promise<never> => {
      throw new StorageError('unavailable', 'injected')
    }
    const dying = world.start({ ...world.driver, promote: refuse, remove: refuse }).registry
    await assert.rejects(pushManifest(dying, repo, 'cut', imageOf('config', ['base'], { n: 1 })))
    const { sweep } = world.start(withBadKeys(world.driver, ['remove'], (key) => key.startsWith(pushesPrefix)))
    world.advance(30 * hour)
    for (let i = 0; i < 10; i++) {
      world.advance(hour)
      assert.ok((await sweep.run('sweep')).failed > 0)
    }
    assert.equal((await keysOf(world, 'garbage/')).length, 1)
    for (let i = 0; i < 3; i++) {
      world.advance(25 * hour)
      await world.start().sweep.run('sweep')
    }
    assert.deepEqual([...(await keysOf(world, 'garbage/')), ...(await keysOf(world, pushesPrefix))], [])
  })

  it('is not read up to anew by every sweep, when its bytes have lost their claims', async () => {
    const world = await worlds.create()
    const { registry } = world.start()
    await pushBlob(registry, repo, 'config')
    const { id } = await registry.uploads.start(repo, { by: 'test' })
    for (const [i, letter] of ['a', 'b', 'c'].entries()) await registry.uploads.append(repo, id, chunkOf(letter, i))
    await registry.uploads.close(repo, id, sha256('abc'), undefined)
    const digest = await pushManifest(registry, repo, 'v1', imageOf('config', ['abc']))
    for (const key of await keysOf(world, `uploads/${id}/`)) await world.driver.remove(key)
    await registry.manifests.remove(repo, parseReference(digest))
    const bad = (await keysOf(world, `data/${id}/`)).at(-1)
    let opened = 0
    const failing = withBadKeys(world.driver, ['open'], (key) => key === bad)
    const { sweep } = world.start(withHook(failing, (method) => void (opened += method === 'open' ? 1 : 0)))
    world.advance(25 * hour)
    for (let i = 0; i < 10; i++) {
      world.advance(hour / 6)
      await sweep.run('sweep')
    }
    assert.ok(opened > 0 && opened <= 6, `opened ${opened} times`)
  })

  for (const mode of ['look', 'repair', 'delete damaged'] as const) {
    it(`does not end a scrub (${mode}): bytes that nobody links`, async () => {
      const world = await worlds.create()
      await pushImage(world.start().registry, repo, 'v1', ['base'])
      const bad = segmentKey('00000000-0000-4000-8000-000000000001', 0, 'x')
      await writeBytes(world, bad, 'x')
      world.advance(50 * hour)
      const driver = withBadKeys(world.driver, everything, (key) => key === bad)
      assert.deepEqual(await scrub(world, driver, mode), [
        'unreadable found data/00000000-0000-4000-8000-000000000001/',
      ])
      assert.ok((await keysOf(world)).includes(bad))
    })

    it(`does not end a scrub (${mode}): a link of damaged bytes, and a torn link`, async () => {
      const world = await worlds.create()
      const { registry } = world.start()
      await pushImage(registry, repo, 'v1', ['base', 'other'])
      await world.driver.write(await segmentOf(world, 'base'), Buffer.from('xxxx'))
      await world.driver.write(linkKey(sha256('other'), repo), Buffer.alloc(0))
      world.advance(50 * hour)
      const driver = withBadKeys(world.driver, ['remove'], (key) => key.startsWith('blobs/'))
      const told = await scrub(world, driver, mode)
      assert.ok(!told.some((each) => each.startsWith('damaged repaired')), told.join('\n'))
      assert.equal((await keysOf(world, 'blobs/')).length, 3)
    })
  }

  it('is not told of as repaired', async () => {
    const world = await worlds.create()
    const { registry } = world.start()
    await pushImage(registry, repo, 'v1', ['base'])
    await pushManifest(registry, repo, 'v2', imageOf('config', ['base']))
    const hint = (await keysOf(world, 'named/')).find((key) => key.includes('tag.v2@'))
    for (const key of [...(await keysOf(world, 'tags/')), ...(await keysOf(world, 'garbage/'))]) {
      if (key.startsWith('garbage/') || key.endsWith('/v2')) await world.driver.remove(key)
    }
    world.advance(50 * hour)
    const told = await scrub(
      world,
      withBadKeys(world.driver, everything, (key) => key === hint),
      'repair',
    )
    assert.deepEqual(
      told.map((each) => each.split(' ', 2).join(' ')),
      ['unreadable found'],
    )
    assert.ok((await keysOf(world, 'named/')).includes(hint ?? ''))
  })

  it('hides nothing beside it from a scrub, and is told of where it lies', async () => {
    const world = await worlds.create()
    const { registry } = world.start()
    for (let n = 0; n < 10; n++) await pushBlob(registry, repo, `u${n}`)
    for (const key of [...(await keysOf(world, 'uploads/')), ...(await keysOf(world, 'garbage/'))]) {
      await world.driver.remove(key)
    }
    const bad = await segmentOf(world, 'u3')
    const folder = bad.slice(0, bad.lastIndexOf('/') + 1)
    world.advance(50 * hour)
    const told = await scrub(
      world,
      withBadKeys(world.driver, ['open', 'stat'], (key) => key === bad),
      'look',
    )
    assert.equal(told.filter((each) => each.startsWith('unused')).length, 9)
    assert.deepEqual(
      told.filter((each) => !each.startsWith('unused')),
      [`unreadable found ${folder}`, `unreadable found ${folder}`],
    )
  })

  it('ends no scrub, however many there are', async () => {
    const world = await worlds.create()
    const { registry } = world.start()
    for (let n = 0; n < 120; n++) await pushImage(registry, repo, `t${n}`, ['k'], { n })
    world.advance(50 * hour)
    const told = await scrub(
      world,
      withBadKeys(world.driver, ['read', 'open'], () => true),
      'repair',
    )
    assert.ok(told.length > 300)
    assert.ok(told.every((each) => each.startsWith('unreadable found')))
  })
})

suite('a scrub beside a sweep', () => {
  it('takes no digests for lost that the sweep keeps at that moment', async () => {
    const worlds = await createWorlds('memory')
    const world = await worlds.create()
    const { registry } = world.start()
    const { id } = await registry.uploads.start(repo, { by: 'test' })
    await registry.uploads.append(repo, id, chunkOf('a'))
    await registry.uploads.append(repo, id, chunkOf('b', 1))
    await writeBytes(world, segmentKey(id, 1, 'loser'), 'x')
    await pushBlob(registry, repo, 'config')
    await registry.uploads.close(repo, id, sha256('ab'), undefined)
    await pushManifest(registry, repo, 'v1', imageOf('config', ['ab']))
    world.advance(50 * hour)
    const { sweep } = world.start()
    let isSwept = false
    const driver = withHook(world.driver, async (method, key) => {
      if (isSwept || method !== 'list' || key !== `uploads/${id}/`) return
      isSwept = true
      await sweep.run('sweep')
    })
    const told: string[] = []
    await world.start(driver).scrub.run('repair', { onFinding: ({ kind, key }) => told.push(`${kind} ${key}`) })
    assert.ok(isSwept)
    assert.deepEqual(told, [])
    assert.ok((await keysOf(world)).includes(linkedAsKey(id)))
    await worlds.remove()
  })
})
