/** A bucket that is reached through the misbehaving proxy, and past it: for tests of what the driver makes of faults. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Driver, type OpenBytes, StorageError } from '../../src/storage/driver.ts'
import type { S3Options } from '../../src/storage/s3/options.ts'
import { describeCall, type S3Call } from './calls.ts'
import { createBucketFor, openS3 } from './open.ts'
import { type Proxy, type Script, startProxy } from './proxy.ts'
import type { S3Server } from './servers.ts'

export interface Scene {
  readonly server: S3Server
  readonly proxy: Proxy
  readonly bucket: string
  /** Through the proxy. */
  readonly driver: Driver
  /** Past the proxy. */
  readonly direct: Driver
  /** Another driver through the proxy, closed with the scene. */
  open(options: Partial<S3Options>): Promise<Driver>
  /** Makes the proxy do as the script says from now on, and forgets what was asked before. */
  play(script: Script): void
  /** What was asked since. */
  calls(): S3Call[]
  close(): Promise<void>
}

export async function setScene(server: S3Server, options: Partial<S3Options> = {}): Promise<Scene> {
  const bucket = await createBucketFor(server)
  const proxy = await startProxy(server.endpoint)
  const direct = await openS3(server, bucket)
  const drivers = [direct]
  const open = async (more: Partial<S3Options>): Promise<Driver> => {
    const driver = await openS3({ ...server, endpoint: proxy.endpoint }, bucket, { ...options, ...more })
    drivers.push(driver)
    return driver
  }
  return {
    server,
    proxy,
    bucket,
    direct,
    driver: await open({}),
    open,
    play(script) {
      proxy.setScript(script)
      proxy.requests.clear()
    },
    calls: () => proxy.requests.map(describeCall),
    async close() {
      await Promise.all(drivers.map((driver) => driver.close()))
      await proxy.close()
    },
  }
}

/** A name that no other case has. */
export const newName = (): string => randomUUID().slice(0, 8)

export const isUnavailable = (error: unknown): boolean =>
  error instanceof StorageError && error.reason === 'unavailable'

/** What an operation came to: its answer, or what it says of a store that is not there. Anything else that is thrown is a bug. */
export async function outcomeOf<T>(
  action: Promise<T>,
): Promise<{ readonly done: T } | { readonly failed: StorageError }> {
  try {
    return { done: await action }
  } catch (error) {
    if (error instanceof StorageError && error.reason === 'unavailable') return { failed: error }
    throw error
  }
}

export async function copied(opened: OpenBytes | undefined): Promise<Buffer> {
  assert.ok(opened !== undefined, 'nothing to copy')
  const chunks: Buffer[] = []
  const target = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(Buffer.from(chunk))
      done()
    },
  })
  await opened.copyTo(target)
  return Buffer.concat(chunks)
}

export async function readAll(driver: Driver, key: string): Promise<Buffer | undefined> {
  const size = (await driver.stat(key))?.size
  return size === undefined ? undefined : copied(await driver.open(key, { start: 0, end: size }))
}

/** Waits for what happens soon, and says so when it does not. */
export async function eventually(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await isSo())) {
    if (performance.now() > deadline) assert.fail(`not within ten seconds: ${what}`)
    await sleep(5)
  }
}

/** Bytes of which no two stretches are alike. */
export function variedBytes(size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4))
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 2_654_435_761)
  return Buffer.from(words.buffer, 0, size)
}
