/** The SDK's client as we want it: our time-outs, no retries (see `retry.ts`), no checksums that half of the stores refuse, and the time of each answer. */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { getCACertificates } from 'node:tls'
import { HeadObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import type { S3StoreOptions } from './options.ts'

export interface ClientLimits {
  readonly maxSockets: number
  readonly socketTimeoutMs: number
}

/** When the store gave an answer, by its clock, in ms. */
export type AnswerTimes = WeakMap<object, number>

/** Where objects are: requests go to `origin`, and their path is `base` and the encoded key. */
export interface Address {
  /** `http://…` or `https://…`, with a port that is not the usual one. */
  readonly origin: string
  readonly host: string
  /** Begins and ends with `/`. */
  readonly base: string
}

/** All authorities that are trusted; absent: the usual ones. */
export function trustedCertificates({ certificates }: Pick<S3StoreOptions, 'certificates'>): string[] | undefined {
  return certificates === undefined ? undefined : [...getCACertificates('default'), certificates]
}

export function isPathStyle({ pathStyle, endpoint }: Pick<S3StoreOptions, 'pathStyle' | 'endpoint'>): boolean {
  return pathStyle === 'auto' ? endpoint !== undefined : pathStyle === 'on'
}

/** For so long a connection is kept that nobody uses, ms, as undici does: an older one may be dead already, and a copy is sent once. */
const idleMs = 4000

const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore }

function ignore(): void {}

/** A client; its credentials are those of `like`, so that they are asked for once. */
export function createClient(options: S3StoreOptions, limits: ClientLimits, like?: S3Client): S3Client {
  const { endpoint, region, connectTimeoutMs } = options
  // Of a connection in use the handler below sets a time of its own.
  const agent = { keepAlive: true, maxSockets: limits.maxSockets, timeout: idleMs }
  const certificates = trustedCertificates(options)
  const credentials = like?.config.credentials ?? options.credentials
  const config: S3ClientConfig = {
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    forcePathStyle: isPathStyle(options),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    maxAttempts: 1,
    // What it warns of on the console reaches us as an error.
    logger: silent,
    requestHandler: {
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(certificates === undefined ? agent : { ...agent, ca: certificates }),
      connectionTimeout: connectTimeoutMs,
      socketTimeout: limits.socketTimeoutMs,
      // Waiting for one of our own sockets is no reason for a warning.
      socketAcquisitionWarningTimeout: 3_600_000,
    },
  }
  return new S3Client(config)
}

function headerOf(message: unknown, name: string): string | undefined {
  if (typeof message !== 'object' || message === null || !('headers' in message)) return undefined
  const { headers } = message
  if (typeof headers !== 'object' || headers === null) return undefined
  const found: unknown = Reflect.get(headers, name)
  return typeof found === 'string' ? found : undefined
}

/** Notes for each answer its `Date`. RFC 9110, section 6.6.1. */
export function noteTimes(client: S3Client): AnswerTimes {
  const times: AnswerTimes = new WeakMap()
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const time = Date.parse(headerOf(result.response, 'date') ?? '')
      if (!Number.isNaN(time) && result.output !== undefined) times.set(result.output, time)
      return result
    },
    { step: 'deserialize', name: 'noteTimes', priority: 'high' },
  )
  return times
}

interface Step {
  readonly request: unknown
}

/**
 * Middleware that says the SHA-256 of a body that was hashed as it came, in hex, or that it is not signed. The SDK would hash the body, and cannot
 * where that is a stream.
 */
export function sayHash(hash: string) {
  return <Args extends Step, Result>(next: (args: Args) => Promise<Result>) =>
    (args: Args): Promise<Result> => {
      const { request } = args
      if (typeof request === 'object' && request !== null && 'headers' in request) {
        const { headers } = request
        if (typeof headers === 'object' && headers !== null) Reflect.set(headers, 'x-amz-content-sha256', hash)
      }
      return next(args)
    }
}

/** Where the SDK would send a request for an object: it knows all regions and partitions. Nothing is sent. */
export async function resolveAddress(client: S3Client, bucket: string): Promise<Address> {
  const key = 'k'
  const command = new HeadObjectCommand({ Bucket: bucket, Key: key })
  let address: Address | undefined
  command.middlewareStack.add(
    () => async (args) => {
      const { request } = args
      if (typeof request === 'object' && request !== null) {
        const textOf = (name: string): string => String(Reflect.get(request, name) ?? '')
        const port = textOf('port')
        const url = new URL(`${textOf('protocol')}//${textOf('hostname')}${port === '' ? '' : `:${port}`}`)
        address = { origin: url.origin, host: url.host, base: textOf('path').slice(0, -key.length) }
      }
      return { response: {}, output: { $metadata: {} } }
    },
    { step: 'build', name: 'resolveAddress', priority: 'low' },
  )
  await client.send(command)
  if (address === undefined) throw new Error('the SDK does not say where objects are')
  return address
}

/** Where clients of the registry find objects, when that is elsewhere than we do. */
export async function resolveClientAddress(options: S3StoreOptions, like: S3Client): Promise<Address | undefined> {
  const endpoint = options.redirect?.endpoint
  if (endpoint === undefined) return undefined
  const client = createClient({ ...options, endpoint }, { maxSockets: 1, socketTimeoutMs: 1 }, like)
  try {
    return await resolveAddress(client, options.bucket)
  } finally {
    client.destroy()
  }
}
