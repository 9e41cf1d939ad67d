/** What a sweep has made durable before it removes what leads to the bytes: else power loss may bring back bytes that nothing leads to. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { parseReference } from '../../src/oci/name.ts'
import { keySpace } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { hour, limits, pushBlob, pushImage, repo } from '../registry/harness.ts'
import { createTracedCalls } from '../storage/faulty-calls.ts'
import { createFolder, openFolder } from '../storage/folder.ts'

type Lead = 'uploads' | 'links'

/** Links, claims and garbage entries. */
const leads = /^unlink (blobs|garbage|uploads\/[^/]+\/\d{16}$)/

/** Sweeps three blobs to which uploads or links lead; what was removed and synced, in order. */
async function traceSweep(lead: Lead, wrap: (driver: Driver) => Driver = (driver) => driver): Promise<string[]> {
  const folder = await createFolder()
  try {
    const { calls, trace } = createTracedCalls(folder.root)
    let ahead = 0
    const now = (): number => Date.now() + ahead
    const options = { keySpace, calls, createId: randomUUID, now, keepsNameOrder: false }
    const inner = await openFolder(folder.root, options)
    const context = { driver: inner, limits, createId: randomUUID, now, sleep: async () => undefined }
    const sweepLimits = { garbageAgeMs: 0, uploadIdleMs: hour, copyWindowMs: hour, batchSize: 100 }
    const sweepOf = (driver: Driver) =>
      createSweep({ ...context, driver, sweepLimits, monotonicMs: () => performance.now() })
    const registry = createLocalRegistry(context)
    if (lead === 'uploads') {
      for (const text of ['a', 'b', 'c']) await pushBlob(registry, repo, text)
    } else {
      const { digest } = await pushImage(registry, repo, 'v1', ['a', 'b'])
      ahead += 25 * hour
      // The claims go, what they said stays.
      await sweepOf(inner).run('sweep')
      await registry.manifests.remove(repo, parseReference(digest))
    }
    ahead += 30 * hour
    trace.length = 0
    await sweepOf(wrap(inner)).run('sweep')
    return trace.filter((line) => /^(sync data$|unlink (data|blobs|uploads|garbage)\/)/.test(line))
  } finally {
    await folder.remove()
  }
}

describe('bytes that were collected', () => {
  for (const lead of ['uploads', 'links'] as const) {
    it(`are gone for good before anything that leads to them goes: ${lead}`, async () => {
      const trace = await traceSweep(lead)
      const settled = trace.lastIndexOf('sync data')
      const bytes = trace.findLastIndex((line) => line.startsWith('unlink data/'))
      const leading = trace.findIndex((line) => leads.test(line))
      assert.ok(bytes >= 0 && bytes < settled && settled < leading, trace.join('\n'))
    })

    it(`keep what leads to them while the store cannot say that they are gone for good: ${lead}`, async () => {
      const trace = await traceSweep(lead, (driver) => ({
        ...driver,
        settle: () => Promise.reject(new StorageError('unavailable', 'EIO')),
      }))
      assert.ok(trace.some((line) => line.startsWith('unlink data/')))
      assert.deepEqual(
        trace.filter((line) => leads.test(line)),
        [],
      )
    })
  }
})
