/** Journals are not synced: after power loss they may be there and empty. A sweep goes on past them, and takes nothing that is needed. */
import assert from 'node:assert/strict'
import { after, before as beforeAll, describe as suite, it } from 'node:test'
import { chunkOf, hour, imageOf, pushManifest, repo } from '../registry/harness.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { createFaultyDriver } from './faulty-driver.ts'
import { prepare, texts } from './operations.ts'
import { createWorlds, describe, type World } from './world.ts'

/** What no manifest names may go. */
const named = texts.filter((text) => text !== 'lone')

suite('a sweep after power loss', () => {
  let worlds: Awaited<ReturnType<typeof createWorlds>>
  beforeAll(async () => {
    worlds = await createWorlds('memory')
  })
  after(() => worlds.remove())

  async function keysOf(world: World, prefix: string): Promise<string[]> {
    const keys: string[] = []
    for await (const { key } of listAll(world.driver, prefix)) keys.push(key)
    return keys
  }

  it('goes on past push entries and claims that are empty', async () => {
    const world = await worlds.create()
    await prepare(world)
    const { driver, death } = createFaultyDriver(world.driver, { at: 9, how: 'dies' })
    await Promise.race([pushManifest(world.start(driver).registry, repo, 'cut', imageOf('config', ['lone'])), death])
    const entries = await keysOf(world, 'pushes/')
    assert.ok(entries.length > 0)
    const claim = (await keysOf(world, 'uploads/')).find((key) => /\/[0-9]{16}$/.test(key)) ?? ''
    for (const key of [...entries, claim]) await world.driver.write(key, Buffer.alloc(0))
    const { uploads } = world.start().registry
    const { id } = await uploads.start(repo, { by: 'test' })
    await uploads.append(repo, id, chunkOf('a'))
    const before = await describe(world, named, new Set())
    for (let i = 0; i < 2; i++) {
      world.advance(25 * hour)
      await world.start().sweep.run('sweep')
    }
    assert.deepEqual(await describe(world, named, new Set()), before)
    assert.deepEqual(await keysOf(world, 'pushes/'), [])
    assert.deepEqual(await keysOf(world, `uploads/${id}/`), [], 'an upload that was abandoned is ended')
    assert.deepEqual(await keysOf(world, 'uploads/'), [claim], 'what cannot be read is for the scrub')
  })
})
