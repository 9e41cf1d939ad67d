/** Bytes are shared also where links that lead nowhere are left, because the store removes none for certain. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseName } from '../../src/oci/name.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import { decodeLink } from '../../src/registry/records.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { createWorld, hour, pushBlob } from './harness.ts'

const day = 24 * hour
const text = 'a layer of a base image'

describe('bytes that many repositories have', () => {
  for (const removal of ['exact', 'looks first'] as const) {
    it(`are there once, whatever became of those of the first: ${removal}`, async () => {
      const world = createWorld()
      const driver: Driver = { ...world.context.driver, removal }
      const context = { ...world.context, driver }
      const registry = createLocalRegistry(context)
      const sweepLimits = { garbageAgeMs: 0, uploadIdleMs: day, copyWindowMs: 0, batchSize: 3 }
      const sweep = createSweep({ ...context, sweepLimits, monotonicMs: () => world.clock.now })
      await pushBlob(registry, parseName('aa'), text)
      for (let i = 0; i < 3; i++) {
        world.clock.now += 2 * day
        await sweep.run('sweep')
      }
      assert.equal((await world.keys('blobs/')).length, removal === 'exact' ? 0 : 1)
      for (const name of ['b1', 'b2', 'b3', 'b4', 'b5']) await pushBlob(registry, parseName(name), text)
      const ids = new Set<string>()
      for (const key of await world.keys('blobs/')) {
        const stored = await world.driver.read(key)
        if (stored !== undefined && !key.endsWith('/aa!')) ids.add(decodeLink(stored.bytes).id)
      }
      assert.equal(ids.size, 1)
    })
  }
})
