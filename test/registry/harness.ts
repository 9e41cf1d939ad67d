/** A local registry on a memory driver whose clock the test moves, with every driver call recorded. */
import { Readable, Writable } from 'node:stream'
import { computeDigest, type Digest } from '../../src/oci/digest.ts'
import { parseName, parseReference, type RepositoryName } from '../../src/oci/name.ts'
import type { Context, RegistryLimits } from '../../src/registry/context.ts'
import { keySpace } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import type { BodySource, Chunk, Registry } from '../../src/registry/registry.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { createMemoryDriver } from '../../src/storage/memory.ts'

export const hour = 3_600_000

export const limits: RegistryLimits = {
  leaseMs: 24 * hour,
  freshMarkMs: 60_000,
  markWaitMs: 2_000,
  pushIdleMs: hour,
  maxOpenUploads: 1000,
  maxBlobBytes: 1024 ** 3,
  maxUploadChunks: 50,
  maxManifestDepth: 64,
  maxManifestReferences: 1_000,
  maxRunningHashes: 10,
  maxParallelCalls: 8,
}

/** What a test may do before a driver call goes through: interleave another actor, or fail the call. */
export type Intercept = (call: { readonly method: string; readonly key: string }) => Promise<void> | void

export interface World {
  readonly driver: Driver
  readonly registry: Registry
  /** Another process on the same store: nothing in memory is shared. */
  readonly other: Registry
  readonly calls: { method: string; key: string }[]
  readonly slept: number[]
  readonly clock: { now: number }
  /** What the registry works with, for other parts that work on the same store. */
  readonly context: Context
  intercept: Intercept | undefined
  readonly keys: (prefix?: string) => Promise<string[]>
}

export function createWorld(
  overrides: Partial<RegistryLimits> = {},
  {
    maxBytes = Number.POSITIVE_INFINITY,
    ...rest
  }: Pick<Context, 'immutableTags'> & { readonly maxBytes?: number } = {},
): World {
  const clock = { now: 1_800_000_000_000 }
  const calls: World['calls'] = []
  const slept: number[] = []
  let n = 0
  const createId = (): string => `00000000-0000-4000-8000-${String(++n).padStart(12, '0')}`
  const store = createMemoryDriver({ keySpace, now: () => clock.now, createId, maxBytes })
  const before = async (method: string, key: string): Promise<void> => {
    calls.push({ method, key })
    await world.intercept?.({ method, key })
  }
  const driver: Driver = {
    ...store,
    read: async (key, o) => (await before('read', key), store.read(key, o)),
    stat: async (key, o) => (await before('stat', key), store.stat(key, o)),
    open: async (key, r, o) => (await before('open', key), store.open(key, r, o)),
    write: async (key, b, o) => (await before('write', key), store.write(key, b, o)),
    writeStream: async (key, o) => (await before('writeStream', key), store.writeStream(key, o)),
    promote: async (entry, record, o) => (await before('promote', record), store.promote(entry, record, o)),
    remove: async (key, o) => (await before('remove', key), store.remove(key, o)),
    list: async (prefix, o) => (await before('list', prefix), store.list(prefix, o)),
  }
  const sleep = async (ms: number): Promise<void> => {
    slept.push(ms)
    clock.now += ms
  }
  const context: Context = {
    driver,
    limits: { ...limits, ...overrides },
    createId,
    now: () => clock.now,
    sleep,
    ...rest,
  }
  const world: World = {
    context,
    driver: store,
    registry: createLocalRegistry(context),
    other: createLocalRegistry({ ...context, driver: store }),
    calls,
    slept,
    clock,
    intercept: undefined,
    async keys(prefix = '') {
      const found: string[] = []
      for await (const { key } of listAll(store, prefix)) found.push(key)
      return found
    },
  }
  return world
}

export const repo = parseName('team/app')
export const elsewhere = parseName('team/other')

export function bytesOf(text: string): Buffer {
  return Buffer.from(text)
}

export function sha256(text: string | Buffer): Digest {
  return computeDigest('sha256', Buffer.from(text))
}

export function bodyOf(...chunks: (string | Buffer)[]): BodySource {
  return Readable.from(chunks.map((chunk) => Buffer.from(chunk)))
}

export function chunkOf(text: string, start?: number): Chunk {
  const range = start === undefined ? undefined : { start, end: start + text.length }
  return { body: bodyOf(text), range, length: text.length }
}

/** A body whose sender goes away after these chunks. */
export async function* brokenBody(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk)
  throw new Error('the client went away')
}

export async function pushBlob(registry: Registry, repository: RepositoryName, text: string): Promise<Digest> {
  const digest = sha256(text)
  await registry.uploads.put(repository, digest, chunkOf(text), { by: 'test' })
  return digest
}

export async function readBlob(registry: Registry, repository: RepositoryName, digest: Digest): Promise<string> {
  const blob = await registry.blobs.open(repository, digest, (size) => [{ start: 0, end: size }])
  const chunks: Buffer[] = []
  for (const part of blob.parts) {
    await part.copyTo(
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          chunks.push(Buffer.from(chunk))
          done()
        },
      }),
    )
  }
  return Buffer.concat(chunks).toString()
}

export const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
export const ociIndex = 'application/vnd.oci.image.index.v1+json'

export function imageOf(config: string, layers: readonly string[], extra: object = {}): Buffer {
  const descriptor = (mediaType: string, text: string): object => ({
    mediaType,
    digest: sha256(text),
    size: text.length,
  })
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)),
      ...extra,
    }),
  )
}

export function indexOf(...manifests: readonly Buffer[]): Buffer {
  const entries = manifests.map((bytes) => ({ mediaType: ociManifest, digest: sha256(bytes), size: bytes.length }))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: entries }))
}

export async function pushManifest(
  registry: Registry,
  repository: RepositoryName,
  reference: string,
  bytes: Buffer,
): Promise<Digest> {
  const { digest } = await registry.manifests.put(repository, {
    reference: parseReference(reference),
    tags: [],
    bytes,
    by: 'test',
  })
  return digest
}

/** Blobs and manifest of a small image under a tag. */
export async function pushImage(
  registry: Registry,
  repository: RepositoryName,
  tag: string,
  layers: readonly string[] = ['layer'],
  extra: object = {},
): Promise<{ digest: Digest; bytes: Buffer }> {
  for (const text of ['config', ...layers]) await pushBlob(registry, repository, text)
  const bytes = imageOf('config', layers, extra)
  return { digest: await pushManifest(registry, repository, tag, bytes), bytes }
}
