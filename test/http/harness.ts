/** A whole registry on a free port, for tests; the same suites run against each of `configurations`. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { type AppDependencies, createApp } from '../../src/app.ts'
import { allowAll } from '../../src/auth/policy.ts'
import type { RequestSample } from '../../src/telemetry/http-metrics.ts'
import { computeDigest, type Digest } from '../../src/oci/digest.ts'
import { ociManifest } from '../../src/oci/media-types.ts'
import type { Context } from '../../src/registry/context.ts'
import { keySpace } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { createFilesystemDriver } from '../../src/storage/filesystem/driver.ts'
import { createMemoryDriver } from '../../src/storage/memory.ts'

/** A kind of store to run a suite on. */
export interface Configuration {
  readonly name: string
  open(): Promise<{ readonly driver: Driver; close(): Promise<void> }>
}

export const memory: Configuration = {
  name: 'memory',
  async open() {
    const driver = createMemoryDriver({ keySpace, now: Date.now, createId: randomUUID })
    return { driver, close: () => driver.close() }
  },
}

export const filesystem: Configuration = {
  name: 'filesystem',
  async open() {
    const root = await mkdtemp(join(tmpdir(), 'berth-http-'))
    const driver = await createFilesystemDriver({
      root,
      keySpace,
      mount: 'local',
      now: Date.now,
      createId: randomUUID,
      ballastBytes: 0,
    })
    const close = async (): Promise<void> => {
      await driver.close()
      await rm(root, { recursive: true, force: true })
    }
    return { driver, close }
  },
}

export const configurations: readonly Configuration[] = [memory, filesystem]

export type Limits = AppDependencies['limits']

export const testLimits: Limits = {
  bodyIdleTimeoutMs: 2000,
  minRateBytes: 1024,
  lingerMs: 300,
  lingerBytes: 1024 * 1024,
  maxManifestBytes: 4 * 1024 * 1024,
  maxTagsPerPush: 20,
  maxRanges: 64,
  pageSize: 100,
  maxPageSize: 200,
  referrersPageSize: 50,
  referrersPageBytes: 64 * 1024,
  headersTimeoutMs: 2000,
  keepAliveTimeoutMs: 5000,
  maxHeaderBytes: 64 * 1024,
  maxConnections: 1000,
  maxUploads: 100,
  manifestBytes: 64 * 1024 * 1024,
  requestsPerSecond: 0,
  requestBurst: 10,
  maxAddresses: 100,
  trustedProxies: [],
}

const registryLimits: Context['limits'] = {
  leaseMs: 24 * 60 * 60 * 1000,
  freshMarkMs: 60_000,
  markWaitMs: 50,
  pushIdleMs: 60 * 60 * 1000,
  maxOpenUploads: 10_000,
  maxBlobBytes: 1024 ** 4,
  maxUploadChunks: 1000,
  maxManifestDepth: 64,
  maxManifestReferences: 10_000,
  maxRunningHashes: 100,
  maxParallelCalls: 8,
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown
}

export interface RequestOptions {
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Uint8Array | Readable
}

export type LogLine = Readonly<Record<string, unknown>>

export interface TestRegistry {
  readonly port: number
  readonly driver: Driver
  /** What the access log wrote, oldest first. */
  readonly log: readonly LogLine[]
  /** What was logged as a failure. */
  readonly faults: readonly LogLine[]
  readonly samples: readonly RequestSample[]
  send(method: string, path: string, options?: RequestOptions): Promise<Answer>
  /** Every key of the store with its bytes' digest. */
  contents(): Promise<readonly string[]>
  close(): Promise<void>
}

export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

async function sendRequest(port: number, method: string, path: string, options: RequestOptions): Promise<Answer> {
  const { headers = {}, body } = options
  const outgoing = request({ host: '127.0.0.1', port, method, path, agent: false, headers: { ...headers } })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    // A server that answers early ends the connection while we still send; after the answer an error means nothing.
    outgoing.once('response', resolve).on('error', reject)
  })
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    if (body !== undefined && headers['Transfer-Encoding'] === undefined) {
      outgoing.setHeader('Content-Length', Buffer.byteLength(body))
    }
    outgoing.end(body)
  } else {
    body.pipe(outgoing)
  }
  const response = await answered
  const received = await buffer(response)
  const { statusCode, rawHeaders } = response
  return { status: statusCode ?? 0, headers: response.headers, rawHeaders, body: received, json: parseJson(received) }
}

/** Reads the whole store, sorted as the driver lists it; without the notes for the sweep, which a refused single POST leaves. */
export async function readContents(driver: Driver): Promise<readonly string[]> {
  const lines: string[] = []
  for (let after: string | undefined; ;) {
    const { entries, more } = await driver.list('', { limit: 1000, ...(after === undefined ? {} : { after }) })
    for (const { key } of entries) {
      if (key.startsWith('garbage/')) continue
      const stat = await driver.stat(key)
      lines.push(`${key} ${stat?.size} ${stat?.version}`)
    }
    after = entries.at(-1)?.key
    if (!more) return lines
  }
}

export interface StartOptions {
  readonly limits?: Partial<Limits>
  readonly registry?: Partial<Context['limits']>
  /** Wraps the dependencies, e.g. to make a part fail. */
  readonly adapt?: (dependencies: AppDependencies) => AppDependencies
}

export async function startRegistry(
  configuration: Configuration = memory,
  { limits, registry, adapt = (same) => same }: StartOptions = {},
): Promise<TestRegistry> {
  const store = await configuration.open()
  const { driver } = store
  const context: Context = {
    driver,
    limits: { ...registryLimits, ...registry },
    createId: randomUUID,
    now: Date.now,
    sleep: (ms, signal) => sleep(ms, undefined, signal && { signal }),
  }
  const log: LogLine[] = []
  const faults: LogLine[] = []
  const samples: RequestSample[] = []
  const server = createApp(
    adapt({
      registry: createLocalRegistry(context),
      authoriser: allowAll(),
      log: { error: (message, fields) => void faults.push({ message, ...fields }) },
      accessLog: { request: (line, level = 'info') => void log.push({ level, ...line }) },
      metrics: {
        startRequest: () => undefined,
        startBody: () => undefined,
        endBody: () => undefined,
        recordRequest: (sample) => void samples.push(sample),
      },
      createId: randomUUID,
      monotonicMs: () => performance.now(),
      limits: { ...testLimits, ...limits },
    }),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    port,
    driver,
    log,
    faults,
    samples,
    send: (method, path, options = {}) => sendRequest(port, method, path, options),
    contents: () => readContents(driver),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      await store.close()
    },
  }
}

/** Sends bytes as they are and collects what comes back until the server closes, or `quietMs` pass without a byte. */
export async function sendRaw(port: number, bytes: string | Uint8Array, quietMs = 1500): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined)
  socket.setTimeout(quietMs, () => socket.destroy())
  socket.write(bytes)
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
  })
  return Buffer.concat(chunks).toString('latin1')
}

/** Pushes bytes as a blob and returns the digest. */
export async function pushBlob(registry: TestRegistry, name: string, bytes: Uint8Array): Promise<Digest> {
  const digest = computeDigest('sha256', bytes)
  const answer = await registry.send('POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, { body: bytes })
  if (answer.status !== 201) throw new Error(`push of a blob: ${answer.status} ${answer.body.toString()}`)
  return digest
}

export interface ManifestFields {
  readonly subject?: { readonly mediaType: string; readonly digest: string; readonly size: number }
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly layers?: readonly unknown[]
}

/** The bytes of an image manifest with an empty config, which must have been pushed. */
export function manifestOf(config: Digest, fields: ManifestFields = {}): Buffer {
  const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: 2 }
  return Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config: descriptor, layers: [], ...fields }),
  )
}

/** Pushes the config and an image manifest under a reference (or its digest). */
export async function pushManifest(
  registry: TestRegistry,
  name: string,
  reference: string | undefined,
  fields: ManifestFields = {},
): Promise<{ readonly digest: Digest; readonly bytes: Buffer; readonly answer: Answer }> {
  const bytes = manifestOf(await pushBlob(registry, name, Buffer.from('{}')), fields)
  const digest = computeDigest('sha256', bytes)
  const answer = await registry.send('PUT', `/v2/${name}/manifests/${reference ?? digest}`, {
    headers: { 'Content-Type': ociManifest },
    body: bytes,
  })
  if (answer.status !== 201) throw new Error(`push of a manifest: ${answer.status} ${answer.body.toString()}`)
  return { digest, bytes, answer }
}

/** The codes of an OCI error answer, in order; fails when it is none. distribution-spec v1.1.1, "Error Codes". */
export function codesOf({ status, headers, json, body }: Answer): readonly string[] {
  const shown = `${status} ${body.toString().slice(0, 300)}`
  assert.equal(headers['content-type'], 'application/json', shown)
  assert.ok(typeof json === 'object' && json !== null && 'errors' in json && Array.isArray(json.errors), shown)
  return json.errors.map((error: unknown) => {
    assert.ok(typeof error === 'object' && error !== null && 'code' in error && 'message' in error, shown)
    assert.ok(typeof error.message === 'string' && error.message !== '', shown)
    assert.match(String(error.code), /^[A-Z_]+$/)
    return String(error.code)
  })
}

/** All values of a header that may come several times. */
export function headersNamed({ rawHeaders }: Answer, name: string): readonly string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name.toLowerCase())
}

/** Waits for a condition, for 3 s. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 3000; !(await isTrue());) {
    assert.ok(performance.now() < end, 'it did not come true')
    await nextTurn()
  }
}
