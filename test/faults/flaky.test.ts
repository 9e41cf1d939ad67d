/** Sweeps, scrubs, retention and pushes at once on a store of which any call may fail, before or after its effect: nothing needed goes, nothing stays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OciError } from '../../src/oci/errors.ts'
import { segmentKey } from '../../src/registry/layout.ts'
import { StorageError } from '../../src/storage/driver.ts'
import { chunkOf, hour, imageOf, pushManifest, repo, sha256 } from '../registry/harness.ts'
import { createRandom, type Random } from '../replicas/random.ts'
import { createFlakyDriver } from './bad-store.ts'
import { type Operation, operations, prepare, texts } from './operations.ts'
import { createWorlds, describe, describeKeys, type World, writeBytes } from './world.ts'

const seeds = process.env['FAULTS'] === 'all' ? 300 : 30

/** What clients do, and takes no blob from under a manifest. */
const clients: readonly Operation[] = Object.entries(operations)
  .filter(([name, { takes }]) => takes === undefined && !/pull|sweep|retention/.test(name))
  .map(([, operation]) => operation)

/** An image whose layer came in chunks, one place twice. */
async function pushChunks(world: World): Promise<void> {
  const { registry } = world.start()
  const { id } = await registry.uploads.start(repo, { by: 'test' })
  await registry.uploads.append(repo, id, chunkOf('a'))
  await registry.uploads.append(repo, id, chunkOf('b', 1))
  await writeBytes(world, segmentKey(id, 1, 'loser'), 'x')
  await registry.uploads.close(repo, id, sha256('ab'), undefined)
  await pushManifest(registry, repo, 'chunks', imageOf('config', ['ab']))
}

/** Refusals and failures of the store are answers; anything else is a defect. */
async function tolerate(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof StorageError || error instanceof OciError || String(error).includes('not mounted')))
      throw error
  }
}

async function keepHouse(world: World, random: Random): Promise<void> {
  const likelihood = random.below(120) / 1000
  const start = () => world.start(createFlakyDriver(world.driver, random, likelihood))
  const work = [start().sweep.run('sweep'), start().sweep.run('sweep')].map(tolerate)
  if (random.below(5) < 2) work.push(tolerate(start().scrub.run(random.pick(['repair', 'delete damaged']))))
  if (random.below(3) === 0) work.push(tolerate(start().retention.run('remove')))
  for (let i = 0; i < 3; i++) {
    const process = random.below(2) === 0 ? world.start() : start()
    work.push(tolerate(random.pick(clients).run(process)))
  }
  await Promise.all(work)
}

test('whatever fails, what manifests name is there, and when all is well again nothing else is', async () => {
  const worlds = await createWorlds('memory')
  for (let seed = 0; seed < seeds; seed++) {
    const random = createRandom(seed)
    const world = await worlds.create()
    await prepare(world)
    await pushChunks(world)
    try {
      for (let round = 0; round < 3; round++) {
        await keepHouse(world, random)
        await describe(world, [...texts, 'ab'], new Set())
        world.advance((random.below(2) === 0 ? 25 : 3) * hour)
      }
      const left = (await describeKeys(world)).filter((key) => /^(?:garbage|pushes|uploads)\//.test(key))
      assert.deepEqual(left, [])
      await describe(world, [...texts, 'ab'], new Set())
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
  await worlds.remove()
})
