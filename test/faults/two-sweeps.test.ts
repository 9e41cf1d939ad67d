/** Two sweeps at once: whatever call of one the other comes before, and whether it ends or is killed, what is named stays. */
import assert from 'node:assert/strict'
import { after, before, describe as suite, it } from 'node:test'
import type { Driver } from '../../src/storage/driver.ts'
import { operations, prepare, texts } from './operations.ts'
import { createFaultyDriver } from './faulty-driver.ts'
import { createWorlds, describe, describeKeys, type World } from './world.ts'

/** Lets `other` run before one of the calls of a driver. */
function interleave(
  store: Driver,
  at: number,
  other: () => Promise<unknown>,
): { driver: Driver; struck: () => boolean } {
  let count = 0
  const call = async <T>(run: () => Promise<T>): Promise<T> => {
    if (count++ === at) await other()
    return run()
  }
  return {
    struck: () => count > at,
    driver: {
      ...store,
      read: (key, options) => call(() => store.read(key, options)),
      stat: (key, options) => call(() => store.stat(key, options)),
      write: (key, bytes, options) => call(() => store.write(key, bytes, options)),
      remove: (key, options) => call(() => store.remove(key, options)),
      list: (prefix, options) => call(() => store.list(prefix, options)),
    },
  }
}

suite('two sweeps', () => {
  let worlds: Awaited<ReturnType<typeof createWorlds>>
  before(async () => {
    worlds = await createWorlds('memory')
  })
  after(() => worlds.remove())

  async function createPrepared(): Promise<World> {
    const world = await worlds.create()
    await prepare(world)
    await operations['sweep']?.before?.(world)
    return world
  }
  const look = (world: World) => describe(world, texts, new Set())

  it('may come between any two calls of each other', async () => {
    const alone = await createPrepared()
    await alone.start().sweep.run('sweep')
    const expected = await look(alone)
    const keys = await describeKeys(alone)
    let isOver = false
    for (let at = 0; !isOver; at++) {
      const world = await createPrepared()
      const { driver, struck } = interleave(world.driver, at, () => world.start().sweep.run('sweep'))
      await world.start(driver).sweep.run('sweep')
      isOver = !struck()
      assert.deepEqual(await look(world), expected, `before call ${at}`)
      assert.deepEqual(await describeKeys(world), keys, `before call ${at}: left over`)
    }
  })

  it('may be killed while the other is at its work', async () => {
    for (let at = 0, isOver = false; !isOver; at += 13) {
      for (let killedAt = 0; ; killedAt += 17) {
        const world = await createPrepared()
        const victim = createFaultyDriver(world.driver, { at: killedAt, how: 'dies' })
        const other = (): Promise<unknown> =>
          Promise.race([world.start(victim.driver).sweep.run('sweep'), victim.death])
        const { driver, struck } = interleave(world.driver, at, other)
        await world.start(driver).sweep.run('sweep')
        isOver = !struck()
        await look(world)
        if (victim.struck() === undefined) break
      }
    }
  })
})
