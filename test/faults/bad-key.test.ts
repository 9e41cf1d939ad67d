/** A key that the store fails to give for good, as a disk with a bad sector does: nothing stops for it for ever, and nobody guesses what it says. */
import assert from 'node:assert/strict'
import { after, before, describe as suite, it } from 'node:test'
import { parseName, parseReference } from '../../src/oci/name.ts'
import { dataPrefix, linkKey } from '../../src/registry/layout.ts'
import { decodeLink } from '../../src/registry/records.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { hour, imageOf, pushBlob, pushManifest, sha256 } from '../registry/harness.ts'
import { keysOf, withBadKeys } from './bad-store.ts'
import { operations, prepare, texts } from './operations.ts'
import { createWorlds, describe, describeKeys, type World } from './world.ts'

/** From one key to the next: CI takes all of them, with `FAULTS=all`. */
const step = process.env['FAULTS'] === 'all' ? 1 : 3

/** What fails of a key: its value cannot be read, or nothing can be done with it but to write it. */
const badness = { 'its value': ['read', 'open'], 'all of it': ['read', 'open', 'stat', 'remove'] } as const

const apart = parseName('apart')

/** An image that shares nothing with any other, and is deleted. Returns where the bytes of its layer are. */
async function deleteApart(world: World): Promise<string> {
  const { registry } = world.start()
  for (const text of ['apart-config', 'apart-layer']) await pushBlob(registry, apart, text)
  const digest = await pushManifest(registry, apart, 'v1', imageOf('apart-config', ['apart-layer']))
  const link = await world.driver.read(linkKey(sha256('apart-layer'), apart))
  assert.ok(link)
  await registry.manifests.remove(apart, parseReference(digest))
  return dataPrefix(decodeLink(link.bytes).id)
}

/** A day of housekeeping; returns what was told of, and how often the store failed. */
async function keepHouse(world: World, driver: Driver): Promise<{ readonly told: readonly string[]; failed: number }> {
  const { sweep, retention, scrub } = world.start(driver)
  world.advance(25 * hour)
  const told: string[] = []
  let failed = (await sweep.run('sweep')).failed
  failed += (await retention.run('remove')).failed
  await scrub.run('repair', { onFinding: ({ kind, key, outcome }) => told.push(`${kind}: ${outcome} ${key}`) })
  return { told, failed }
}

suite('a key that the store fails to give', () => {
  let worlds: Awaited<ReturnType<typeof createWorlds>>
  before(async () => {
    worlds = await createWorlds('memory')
  })
  after(() => worlds.remove())

  async function createPrepared() {
    const world = await worlds.create()
    await prepare(world)
    await operations['sweep']?.before?.(world)
    const others = new Set(await keysOf(world))
    const bytes = await deleteApart(world)
    return { world, others, bytes }
  }
  const look = (world: World) => describe(world, texts, new Set())
  /** Ids are random: the n-th key of one world is that of the other. */
  const shapeOf = (key: string): string => key.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>')

  for (const [what, methods] of Object.entries(badness)) {
    it(`stops neither sweep nor retention nor scrub, and heals: ${what}`, async (t) => {
      const sound = await createPrepared()
      const old = await look(sound.world)
      for (let day = 0; day < 3; day++) await keepHouse(sound.world, sound.world.driver)
      const done = await look(sound.world)
      const keys = await describeKeys(sound.world)
      const shapes = (await keysOf((await createPrepared()).world)).map(shapeOf).sort()
      let noticed = 0
      for (let n = 0; n < shapes.length; n += step) {
        const { world, others, bytes } = await createPrepared()
        const bad = (await keysOf(world))[n] ?? ''
        const driver = withBadKeys(world.driver, methods, (key) => key === bad)
        let wasNoticed = false
        for (let day = 0; day < 3; day++) {
          const { told, failed } = await keepHouse(world, driver)
          wasNoticed ||= failed > 0 || told.some((each) => each === `unreadable: found ${bad}`)
        }
        if (wasNoticed) noticed++
        const seen = await look(world)
        const lost = [...old].filter((line) => done.has(line) && !seen.has(line))
        assert.deepEqual(lost, [], `${bad}: lost`)
        if (others.has(bad)) assert.deepEqual(await keysOf(world, bytes), [], `${bad}: what it has nothing to do with`)
        for (let day = 0; day < 2; day++) await keepHouse(world, world.driver)
        assert.deepEqual([...(await look(world))].sort(), [...done].sort(), `${bad}: healed`)
        assert.deepEqual(await describeKeys(world), keys, `${bad}: left over when healed`)
      }
      t.diagnostic(`${shapes.length} keys, ${noticed} of them noticed`)
      assert.ok(noticed > shapes.length / step / 3)
    })
  }

  it('ends a run when the store fails everything', async () => {
    const { world } = await createPrepared()
    const { registry } = world.start()
    await pushBlob(registry, apart, 'config')
    for (let n = 0; n < 120; n++) {
      await pushManifest(registry, apart, `old${n}`, imageOf('config', [], { n }))
      await registry.manifests.remove(
        apart,
        parseReference(await pushManifest(registry, apart, 'v1', imageOf('config', [], { apart: n }))),
      )
    }
    world.advance(25 * hour)
    const { sweep, retention } = world.start(withBadKeys(world.driver, badness['all of it'], () => true))
    await assert.rejects(sweep.run('sweep'), { name: 'StorageError', reason: 'unavailable' })
    await assert.rejects(retention.run('remove'), { name: 'StorageError', reason: 'unavailable' })
  })
})
