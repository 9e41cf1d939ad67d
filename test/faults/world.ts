/** A store with a clock that can be moved, and what a client sees of it. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Digest } from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import type { RepositoryName } from '../../src/oci/name.ts'
import type { Context } from '../../src/registry/context.ts'
import { createImmutableTags } from '../../src/registry/immutable.ts'
import { keySpace, manifestsPrefix, parseManifestKey, parseTagKey, tagsPrefix } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { createRetention, type Retention } from '../../src/registry/retention/retention.ts'
import { compileRules } from '../../src/registry/retention/rules.ts'
import { createScrub, type Scrub } from '../../src/registry/scrub/scrub.ts'
import { createSweep, type Sweep } from '../../src/registry/sweep/sweep.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { createFilesystemDriver } from '../../src/storage/filesystem/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { createMemoryDriver } from '../../src/storage/memory.ts'
import { putAhead } from '../s3/ahead.ts'
import { createBucketFor, openS3 } from '../s3/open.ts'
import { startVersitygw } from '../s3/servers.ts'
import { elsewhere, hour, limits, readBlob, repo, sha256 } from '../registry/harness.ts'
import { createQuickCalls } from '../storage/faulty-calls.ts'

export interface World {
  readonly driver: Driver
  advance(ms: number): void
  /** A process of its own on this store, through this driver. */
  start(driver?: Driver): Process
}

export interface Process {
  readonly registry: Registry
  readonly sweep: Sweep
  readonly retention: Retention
  readonly scrub: Scrub
}

const sweepLimits = {
  garbageAgeMs: hour / 6,
  uploadIdleMs: 24 * hour,
  copyWindowMs: hour / 6,
  batchSize: 10,
}

const immutableTags = createImmutableTags([{ repositories: '**', tags: 'fixed*' }], 'immutable')
const findRules = compileRules([{ repositories: '**', tags: 'old*', maxAgeMs: hour, untaggedMs: hour }], 'rules')

export const kinds = ['memory', 'filesystem', 's3'] as const

/** Opens empty stores of one kind; all are gone after `remove`. */
export async function createWorlds(kind: (typeof kinds)[number]) {
  if (kind === 's3') return createBucketWorlds()
  const folder = await mkdtemp(join(tmpdir(), 'berth-faults-'))
  let opened = 0
  async function open(now: () => number): Promise<Driver> {
    if (kind === 'memory') return createMemoryDriver({ keySpace, now, createId: randomUUID })
    // Without syncs: they matter to power loss only, and take most of the time.
    const options = { keySpace, now, createId: randomUUID, mount: 'local', ballastBytes: 0 } as const
    return createFilesystemDriver({ ...options, root: join(folder, String(opened++)), calls: createQuickCalls() })
  }
  return {
    create: () => createWorld(open),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** So many worlds are looked at together; older ones are closed. */
const maxOpenWorlds = 4

/** Each store is a prefix of one bucket; its clock goes ahead of the server's. */
async function createBucketWorlds() {
  const server = await startVersitygw()
  const bucket = await createBucketFor(server)
  const drivers: Driver[] = []
  let opened = 0
  return {
    async create(): Promise<World> {
      while (drivers.length >= maxOpenWorlds) await drivers.shift()?.close()
      return createWorld(async (now) => {
        // One process makes one call at a time in these tests: then the server's conditional delete is exact.
        const options = { keySpace, prefix: `${opened++}/`, conditionalDelete: 'exact' } as const
        const driver = await openS3(server, bucket, options)
        drivers.push(driver)
        return putAhead(driver, () => now() - Date.now())
      })
    },
    async remove(): Promise<void> {
      await Promise.all(drivers.map((driver) => driver.close()))
      await server.remove()
    },
  }
}

async function createWorld(open: (now: () => number) => Promise<Driver>): Promise<World> {
  let ahead = 0
  const now = (): number => Date.now() + ahead
  const driver = await open(now)
  return {
    driver,
    advance: (ms) => void (ahead += ms),
    start(through = driver) {
      const sleep = async (ms: number): Promise<void> => void (ahead += ms)
      const context: Context = { driver: through, limits, immutableTags, createId: randomUUID, now, sleep }
      return {
        registry: createLocalRegistry(context),
        sweep: createSweep({ ...context, sweepLimits, tracksUntagged: () => true, monotonicMs: now }),
        scrub: createScrub({ ...context, sweepLimits, monotonicMs: now }),
        retention: createRetention(context, findRules),
      }
    },
  }
}

/** Bytes under a key of their own, as a body leaves them that lost the race for its place to another, or lost its claim. */
export async function writeBytes({ driver }: World, key: string, text: string): Promise<void> {
  const writer = await driver.writeStream(key)
  await writer.write(Buffer.from(text))
  await writer.seal()
}

/** Absence is an answer; everything else is thrown. */
async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (error instanceof OciError && error.status === 404) return undefined
    throw error
  }
}

async function parsedKeys<T>(driver: Driver, prefix: string, parse: (key: string) => T): Promise<T[]> {
  const found: T[] = []
  for await (const { key } of listAll(driver, prefix)) found.push(parse(key))
  return found
}

/** Everything that clients can read, one line each; throws when a reader throws, or when a manifest names what is not there (P2). */
export async function describe(
  world: World,
  texts: readonly string[],
  mayMiss: ReadonlySet<Digest>,
): Promise<ReadonlySet<string>> {
  const { driver } = world
  const { registry } = world.start()
  const lines = new Set<string>()
  const isThere = async (repository: RepositoryName, digest: Digest): Promise<boolean> => {
    const text = await orAbsent(readBlob(registry, repository, digest))
    if (text !== undefined && sha256(text) !== digest) throw new Error(`${digest} has other bytes: ${text}`)
    return text !== undefined
  }
  for (const name of (await registry.catalog.list({ limit: 100 })).items) lines.add(`repository ${name}`)
  for (const repository of [repo, elsewhere]) {
    for (const digest of texts.map(sha256))
      if (await isThere(repository, digest)) lines.add(`blob ${repository} ${digest}`)
    for (const digest of await parsedKeys(driver, manifestsPrefix(repository), parseManifestKey)) {
      const manifest = await orAbsent(registry.manifests.get(repository, { kind: 'digest', digest }))
      if (manifest === undefined) continue
      lines.add(`manifest ${repository} ${digest}`)
      const { blobs, manifests, subject } = parseManifest(manifest.bytes, manifest.mediaType, noLimits)
      for (const blob of blobs) {
        if (!mayMiss.has(blob) && !(await isThere(repository, blob))) throw new Error(`P2: ${digest} names ${blob}`)
      }
      for (const child of manifests) await registry.manifests.get(repository, { kind: 'digest', digest: child })
      if (subject === undefined) continue
      const { items } = await registry.referrers.list(repository, subject, { limit: 100 })
      for (const item of items) lines.add(`referrer ${repository} ${item.digest}`)
    }
    for (const tag of await parsedKeys(driver, tagsPrefix(repository), parseTagKey)) {
      const named = await orAbsent(registry.manifests.get(repository, { kind: 'tag', tag }))
      if (named !== undefined) lines.add(`tag ${repository} ${tag} ${named.digest}`)
    }
  }
  return lines
}

const noLimits = { maxDepth: 100, maxReferences: 100 }

/** What is left after all grace times: every key, with what is random in it left out. */
export async function describeKeys(world: World): Promise<readonly string[]> {
  const { sweep } = world.start()
  for (let i = 0; i < 3; i++) {
    world.advance(25 * hour)
    await sweep.run('sweep')
    if (world.driver.promotion === 'move') continue
    // What was begun waits for the copy window, by the clock of this process.
    world.advance(sweepLimits.copyWindowMs + 1)
    await sweep.run('sweep')
  }
  const found: string[] = []
  for await (const { key } of listAll(world.driver, '', { times: true })) {
    found.push(key.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>'))
  }
  return found.sort()
}
