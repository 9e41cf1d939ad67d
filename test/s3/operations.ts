/** The operations of the registry of which docs/storage.md says what they ask of S3, each with what has to be there before it. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { openCheckedStore, openStore, type Store } from '../../src/cli/open-store.ts'
import type { Config } from '../../src/config/schema.ts'
import { parseReference } from '../../src/oci/name.ts'
import type { Context } from '../../src/registry/context.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { silentLogger } from '../../src/telemetry/logger.ts'
import {
  chunkOf,
  elsewhere,
  hour,
  imageOf,
  limits,
  ociManifest,
  pushBlob,
  pushImage,
  pushManifest,
  readBlob,
  repo,
  sha256,
} from '../registry/harness.ts'

/** A process on a store. */
interface Place {
  readonly context: Context
  readonly registry: Registry
}

/**
 * Does what has to be there before, by another process, and returns what is counted. `n` is how many there are of what an operation has several of.
 */
export type Operation = (driver: Driver, n: number, config: Config) => Promise<() => Promise<unknown>>

function createPlace(driver: Driver, leaseMs = 24 * hour): Place {
  const context: Context = {
    driver,
    limits: { ...limits, leaseMs },
    createId: randomUUID,
    now: Date.now,
    sleep: (ms, signal) => sleep(ms, undefined, { signal }),
  }
  return { context, registry: createLocalRegistry(context) }
}

/** Larger than what is kept in memory. */
const layersOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `layer ${i} `.repeat(5000))

/** An image of so many blobs, its config among them. */
async function pushImageOf(registry: Registry, n: number, tag = 'v1') {
  const layers = layersOf(n - 1)
  return { layers, ...(await pushImage(registry, repo, tag, layers)) }
}

async function pushNewBlob({ registry }: Place, text: string, way: 'at once' | 'in two'): Promise<void> {
  await registry.blobs.stat(repo, sha256(text)).catch(() => undefined)
  const { id } = await registry.uploads.start(repo, { by: 'test' })
  if (way === 'at once') await registry.uploads.close(repo, id, sha256(text), chunkOf(text))
  else {
    await registry.uploads.append(repo, id, chunkOf(text))
    await registry.uploads.close(repo, id, sha256(text), undefined)
    await registry.blobs.stat(repo, sha256(text))
  }
}

/** The smallest that there is, which the drivers of these tests have. */
export const partBytes = 5 * 1024 * 1024

async function pull({ registry }: Place, n: number): Promise<void> {
  const { digest } = await registry.manifests.get(repo, parseReference('v1'))
  await registry.manifests.get(repo, parseReference(digest))
  for (const text of ['config', ...layersOf(n - 1)]) await readBlob(registry, repo, sha256(text))
}

/** What is younger than this is old, also where the store's clock has whole seconds and its answers lag behind. */
const anyAgeMs = -5000

/** So many runs of a process for which everything is old, a day apart. */
function createSweeping(driver: Driver, runs: number): () => Promise<void> {
  let now = 0
  const sweep = createSweep({
    ...createPlace(driver, anyAgeMs).context,
    sweepLimits: { garbageAgeMs: anyAgeMs, uploadIdleMs: anyAgeMs, copyWindowMs: hour, batchSize: 1000 },
    monotonicMs: () => now,
  })
  return async () => {
    for (let run = 0; run < runs; run++) {
      await sweep.run('sweep')
      now += 24 * hour
    }
  }
}

async function openAndClose(opening: Promise<Store>): Promise<void> {
  const { driver } = await opening
  await driver.close()
}

/** By what docs/storage.md calls them. */
export const operations: Readonly<Record<string, Operation>> = {
  'start of a server': async (_driver, _n, config) => {
    const first = await openStore(config, silentLogger)
    await first.driver.close()
    return () => openAndClose(openStore(config, silentLogger))
  },

  'start of a worker': async (_driver, _n, config) => {
    const first = await openStore(config, silentLogger)
    await first.driver.close()
    return () => openAndClose(openCheckedStore(config))
  },

  '`/readyz`': async (_driver, _n, config) => {
    const { checkReady, driver } = await openStore(config, silentLogger)
    return async () => {
      await checkReady({ signal: AbortSignal.timeout(10_000) })
      await driver.close()
    }
  },

  'new blob: HEAD, POST, PUT': async (driver) => () => pushNewBlob(createPlace(driver), 'abc', 'at once'),

  'new blob: HEAD, POST, PATCH, PUT, HEAD': async (driver) => () => pushNewBlob(createPlace(driver), 'abc', 'in two'),

  'the same, of n parts': async (driver, n) => () =>
    pushNewBlob(createPlace(driver), 'x'.repeat(n * partBytes), 'in two'),

  'HEAD of a blob': async (driver) => {
    const digest = await pushBlob(createPlace(driver).registry, repo, 'abc')
    return () => createPlace(driver).registry.blobs.stat(repo, digest)
  },

  'the same, when half of the lease is over': async (driver) => {
    const digest = await pushBlob(createPlace(driver).registry, repo, 'abc')
    return () => createPlace(driver, anyAgeMs).registry.blobs.stat(repo, digest)
  },

  mount: async (driver) => {
    const digest = await pushBlob(createPlace(driver).registry, repo, 'abc')
    const source = { from: repo, mayPull: () => true }
    return () => createPlace(driver).registry.blobs.mount(elsewhere, digest, source)
  },

  'manifest of n blobs with a new tag': async (driver, n) => {
    const { bytes, layers } = await pushImageOf(createPlace(driver).registry, n)
    for (const text of ['config', ...layers]) await pushBlob(createPlace(driver).registry, elsewhere, text)
    return () => pushManifest(createPlace(driver).registry, elsewhere, 'v1', bytes)
  },

  'manifest of n blobs, the tag is moved': async (driver, n) => {
    const { layers } = await pushImageOf(createPlace(driver).registry, n)
    const other = imageOf('config', layers, { annotations: { other: 'one' } })
    return () => pushManifest(createPlace(driver).registry, repo, 'v1', other)
  },

  'the same manifest and tag again': async (driver, n) => {
    const { bytes } = await pushImageOf(createPlace(driver).registry, n)
    return () => pushManifest(createPlace(driver).registry, repo, 'v1', bytes)
  },

  'pull by tag, n blobs: HEAD, GET, n × GET': async (driver, n) => {
    await pushImageOf(createPlace(driver).registry, n)
    return () => pull(createPlace(driver), n)
  },

  'the same again, by the same process': async (driver, n) => {
    await pushImageOf(createPlace(driver).registry, n)
    const place = createPlace(driver)
    await pull(place, n)
    return () => pull(place, n)
  },

  'GET of a blob by a redirect': async (driver) => {
    const [text = ''] = layersOf(1)
    const digest = await pushBlob(createPlace(driver).registry, repo, text)
    return () => createPlace(driver).registry.blobs.sign(repo, digest)
  },

  'a page of tags': async (driver, n) => {
    await pushImageOf(createPlace(driver).registry, n)
    return () => createPlace(driver).registry.tags.list(repo, { limit: 100 })
  },

  'a page of the catalog': async (driver, n) => {
    await pushImageOf(createPlace(driver).registry, n)
    return () => createPlace(driver).registry.catalog.list({ limit: 100 })
  },

  'n referrers': async (driver, n) => {
    const { registry } = createPlace(driver)
    const { bytes, digest } = await pushImageOf(registry, 2)
    const subject = { mediaType: ociManifest, digest, size: bytes.length }
    for (let i = 0; i < n; i++) {
      const referrer = imageOf('config', layersOf(1), { subject, annotations: { i: String(i) } })
      await pushManifest(registry, repo, sha256(referrer), referrer)
    }
    return () => createPlace(driver).registry.referrers.list(repo, digest, { limit: 100 })
  },

  'DELETE of a manifest with n tags': async (driver, n) => {
    const { bytes, digest } = await pushImageOf(createPlace(driver).registry, 2)
    for (let i = 2; i <= n; i++) await pushManifest(createPlace(driver).registry, repo, `v${i}`, bytes)
    return () => createPlace(driver).registry.manifests.remove(repo, parseReference(digest))
  },

  'DELETE of a tag': async (driver) => {
    await pushImageOf(createPlace(driver).registry, 2)
    return () => createPlace(driver).registry.manifests.remove(repo, parseReference('v1'))
  },

  'DELETE of a blob': async (driver) => {
    const digest = await pushBlob(createPlace(driver).registry, repo, 'abc')
    return () => createPlace(driver).registry.blobs.remove(repo, digest)
  },

  'sweep that finds nothing': async (driver, n) => {
    await pushImageOf(createPlace(driver).registry, n)
    await createSweeping(driver, 3)()
    return createSweeping(driver, 1)
  },

  'two sweeps, after the push of n blobs': async (driver, n) => {
    await pushImageOf(createPlace(driver).registry, n)
    return createSweeping(driver, 2)
  },

  'two sweeps, after the DELETE of a manifest of n blobs': async (driver, n) => {
    const { registry } = createPlace(driver)
    const { digest } = await pushImageOf(registry, n)
    await createSweeping(driver, 3)()
    await registry.manifests.remove(repo, parseReference(digest))
    return createSweeping(driver, 2)
  },
}
