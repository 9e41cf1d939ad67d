/**
 * Get and head of objects, and signed URLs, by the shortest way: these are what pulls are made of, and the SDK takes several times as long for them
 * (decision 23). Nothing is repeated here. The requests are the SDK's; a test compares signatures.
 */
import type { Readable } from 'node:stream'
import { createSecureContext } from 'node:tls'
import type { S3Client } from '@aws-sdk/client-s3'
import { Pool } from 'undici'
import { createSocketBuffers } from '../buffers.ts'
import type { GetOptions, OpenedBody, ReadCalls } from './bucket.ts'
import { type Bulk, createBulk } from './bulk.ts'
import { type Address, trustedCertificates } from './client.ts'
import { isAbsent, S3Error } from './errors.ts'
import type { S3Options } from './options.ts'
import { chunksOf, checkPart, readError, readHead } from './response.ts'
import { runCall } from './run-call.ts'
import { createSigner, encodePath, type SigningKeys } from './signer.ts'

const maxConnectionAgeMs = 300_000

/** For so long after the store showed something of the bucket, that a HEAD finds nothing is believed. */
const trustMs = 1000

/** What the SDK's client knows: who we are, and how far our clock is from the store's. */
type ClientConfig = Pick<S3Client['config'], 'credentials' | 'systemClockOffset'>

function createPool(options: S3Options, { origin }: Address, connections: number | null): Pool {
  const { connectTimeoutMs, socketTimeoutMs } = options
  const certificates = trustedCertificates(options)
  return new Pool(origin, {
    connections,
    pipelining: 1,
    allowH2: false,
    // What many requests at once have made is given up after a while.
    clientTtl: maxConnectionAgeMs,
    connect: { timeout: connectTimeoutMs, ...(certificates === undefined ? {} : { ca: certificates }) },
    headersTimeout: socketTimeoutMs,
    bodyTimeout: socketTimeoutMs,
  })
}

export interface Addresses {
  readonly ours: Address
  /** Where clients of the registry find objects, when that is elsewhere. */
  readonly clients: Address | undefined
}

/** A request as it goes over the wire, but for its method. */
interface Signed {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

type Sign = (method: 'GET' | 'HEAD', key: string, headers?: Readonly<Record<string, string>>) => Promise<Signed>

interface Means {
  readonly sign: Sign
  readonly pool: Pool
}

/** When the store last showed that the bucket is there. */
interface Sight {
  lastMs: number
  readonly nowMs: () => number
}

function askedHeaders({ range, etag }: Pick<GetOptions, 'range' | 'etag'>): Record<string, string> {
  return {
    ...(range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` }),
    ...(etag === undefined ? {} : { 'if-match': etag }),
  }
}

function createGet({ sign, pool }: Means, sight: Sight): ReadCalls['get'] {
  return (key, { signal, ...asked }) =>
    runCall({ signal }, async () => {
      const signed = await sign('GET', key, askedHeaders(asked))
      const { body, ...answer } = await pool.request({ method: 'GET', ...signed, ...(signal && { signal }) })
      try {
        if (answer.statusCode !== 200 && answer.statusCode !== 206) throw await readError(answer.statusCode, body)
        if (asked.range !== undefined) checkPart(asked.range, answer.statusCode, answer.headers)
        const head = readHead(answer.headers)
        sight.lastMs = sight.nowMs()
        return { ...head, body }
      } catch (error) {
        if (error instanceof S3Error && isAbsent(error)) sight.lastMs = sight.nowMs()
        body.on('error', () => undefined).destroy()
        throw error
      }
    })
}

function createHead({ sign, pool }: Means, sight: Sight, get: ReadCalls['get']): ReadCalls['head'] {
  return (key, { signal, absence = 'confirmed' }) =>
    runCall({ signal }, async () => {
      const signed = await sign('HEAD', key)
      const { statusCode, headers, body } = await pool.request({ method: 'HEAD', ...signed, ...(signal && { signal }) })
      await body.dump()
      if (statusCode === 200) {
        const head = readHead(headers)
        sight.lastMs = sight.nowMs()
        return head
      }
      // The answer to HEAD has no body: its status is all there is.
      if (statusCode !== 404) throw new S3Error('UnknownError', statusCode, '')
      if (absence === 'likely' && sight.nowMs() - sight.lastMs < trustMs) throw new S3Error('NoSuchKey', 404, '')
      // It may be the bucket that is not there, or the store: the answer to GET says it.
      const got = await get(key, { signal })
      got.body.on('error', () => undefined).destroy()
      return got
    })
}

/** A body that came as a stream. */
function ofStream(body: Readable): OpenedBody {
  // Until somebody reads it, a connection that breaks is nobody's surprise.
  body.on('error', () => undefined)
  return {
    async copy(write) {
      for await (const chunk of chunksOf(body)) await write(chunk)
    },
    destroy: () => void body.destroy(),
  }
}

/** By a line of its own; an answer that is not plain comes again as a stream, or is an error that says what is the matter. */
function createOpen(bulk: Bulk, sign: Sign, sight: Sight, get: ReadCalls['get']): ReadCalls['open'] {
  return (key, options) =>
    runCall(options, async () => {
      const { range, signal } = options
      const { path, headers } = await sign('GET', key, askedHeaders(options))
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      const request = `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
      const answer = await bulk.fetch({ range, request, signal })
      if (answer !== undefined) {
        sight.lastMs = sight.nowMs()
        return answer
      }
      const got = await get(key, options)
      return { ...got, body: ofStream(got.body) }
    })
}

export function createQuick(
  options: S3Options,
  { ours, clients = ours }: Addresses,
  config: ClientConfig,
): ReadCalls & { readonly close: () => Promise<void> } {
  const signer = createSigner(options.region)
  const pool = createPool(options, ours, options.maxConnections)
  // Somebody may take these bytes slowly; that must not hold up others.
  const slowPool = createPool(options, ours, null)
  const ca = trustedCertificates(options)
  const bulk = createBulk({
    ...options,
    origin: ours.origin,
    // Made once: to read all certificates takes ms.
    secureContext: ca && createSecureContext({ ca }),
    buffers: createSocketBuffers(options.readBufferBytes),
  })
  const keys = (): Promise<SigningKeys> => config.credentials()
  const sign: Sign = async (method, key, headers = {}) => {
    const path = ours.base + encodePath(key)
    const time = options.now() + config.systemClockOffset
    return { path, headers: signer.sign({ method, host: ours.host, path, headers }, await keys(), time) }
  }
  const { elapsed = () => performance.now() } = options
  // Nobody keeps a driver that finds no bucket at its start.
  const sight = { lastMs: elapsed(), nowMs: elapsed }
  const get = createGet({ sign, pool }, sight)

  return {
    get,
    head: createHead({ sign, pool }, sight, get),
    open: createOpen(bulk, sign, sight, createGet({ sign, pool: slowPool }, sight)),
    async presign(key, { fromMs, seconds }) {
      const path = clients.base + encodePath(key)
      const from = fromMs + config.systemClockOffset
      return clients.origin + signer.presign({ method: 'GET', host: clients.host, path }, await keys(), from, seconds)
    },
    async close() {
      bulk.close()
      await Promise.all([pool.destroy(), slowPool.destroy()])
    },
  }
}
