/**
 * The S3 servers that tests run against: where they are, how they start, die and start again. Main is versitygw, which checks signatures;
 * moto is the cross-check whose keys are those of AWS. Knows nothing of drivers.
 */
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import https, { Agent } from 'node:https'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { freePort } from '../clients/port.ts'
import type { Certificate } from './certificate.ts'
import { type Daemon, startDaemon, waitUntilReady } from '../clients/process.ts'

export interface S3Server {
  /** `http://127.0.0.1:<port>`, or `https://…`; the same after a restart. */
  readonly endpoint: string
  readonly region: 'us-east-1'
  readonly accessKeyId: string
  readonly secretAccessKey: string
  createBucket(name: string): Promise<void>
  /** SIGKILL; resolves when it is dead. */
  kill(): Promise<void>
  /** Kills it if it still lives and starts it on the same port and folder. moto has then forgotten everything. */
  restart(): Promise<void>
  /** Kills it and removes its folder, unless the folder was given. */
  remove(): Promise<void>
}

const credentials = { accessKeyId: 'test', secretAccessKey: 'testtest' } as const
const cache = resolve(import.meta.dirname, '../../.cache')

export function findVersitygw(): string | undefined {
  return findProgram([...path(), join(cache, 'bin')], 'versitygw')
}

export function findMoto(): string | undefined {
  return findProgram([...path(), join(cache, 'moto/bin')], 'moto_server')
}

/** Why tests with this server cannot run here, or `false`; where `S3_SERVERS=required`, as in CI, a missing server is an error. */
export function reasonToSkip(server: 'versitygw' | 'moto'): string | false {
  if (find(server) !== undefined) return false
  if (process.env['S3_SERVERS'] === 'required') throw new Error(`${missing(server)}, and S3_SERVERS=required`)
  return `skipped, no S3 server: ${missing(server)}`
}

export interface VersitygwOptions {
  /** An existing folder on a file system with extended attributes; without it a temporary one. */
  readonly folder?: string
  readonly port?: number
  /** It then speaks TLS. */
  readonly certificate?: Certificate
}

export async function startVersitygw({ folder, port, certificate }: VersitygwOptions = {}): Promise<S3Server> {
  const program = demand('versitygw')
  const own = folder === undefined ? await mkdtemp(join(tmpdir(), 'berth-s3-')) : undefined
  const tls = certificate && (await writeCertificate(certificate))
  return startServer({
    program,
    scheme: tls === undefined ? 'http' : 'https',
    args: (host, port) =>
      ['--port', `${host}:${port}`, '--health', '/health', '--keep-alive', '--quiet'].concat(
        tls?.args ?? [],
        'posix',
        folder ?? own ?? '',
      ),
    env: { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    healthPath: '/health',
    port: port ?? (await freePort()),
    cleanUp: async () => {
      for (const one of [own, tls?.folder]) if (one !== undefined) await rm(one, { recursive: true, force: true })
    },
  })
}

async function writeCertificate({ cert, key }: Certificate) {
  const folder = await mkdtemp(join(tmpdir(), 'berth-tls-'))
  await writeFile(join(folder, 'cert.pem'), cert)
  await writeFile(join(folder, 'key.pem'), key)
  return { folder, args: ['--cert', join(folder, 'cert.pem'), '--key', join(folder, 'key.pem')] }
}

/** It keeps everything in memory, checks no signature, and takes 60–170 requests a second. */
export async function startMoto(): Promise<S3Server> {
  return startServer({
    program: demand('moto'),
    scheme: 'http',
    args: (host, port) => ['-H', host, '-p', port],
    env: {},
    healthPath: '/',
    port: await freePort(),
    cleanUp: async () => {},
  })
}

/** A client that sends each request once, as bare as possible: for the tests' own looks into a store. The caller destroys it. */
export function createClient({ region, ...server }: S3Server, endpoint = server.endpoint): S3Client {
  const { accessKeyId, secretAccessKey } = server
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(endpoint.startsWith('https:')
      ? { requestHandler: { httpsAgent: new Agent({ rejectUnauthorized: false }) } }
      : {}),
  })
}

interface Recipe {
  readonly program: string
  readonly scheme: 'http' | 'https'
  readonly args: (host: string, port: string) => readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly healthPath: string
  readonly port: number
  readonly cleanUp: () => Promise<unknown>
}

async function startServer(recipe: Recipe): Promise<S3Server> {
  let daemon = await launch(recipe)
  const kill = async (): Promise<void> => {
    daemon.kill('SIGKILL')
    await daemon.stop()
  }
  const server: S3Server = {
    endpoint: `${recipe.scheme}://127.0.0.1:${recipe.port}`,
    region: 'us-east-1',
    ...credentials,
    createBucket: async (name) => {
      const client = createClient(server)
      await client.send(new CreateBucketCommand({ Bucket: name })).finally(() => client.destroy())
    },
    kill,
    restart: async () => {
      await kill()
      daemon = await launch(recipe)
    },
    remove: async () => {
      await kill()
      await recipe.cleanUp()
    },
  }
  return server
}

async function launch({ program, scheme, args, env, healthPath, port }: Recipe): Promise<Daemon> {
  const [command, ...words] = [...mortal(), program, ...args('127.0.0.1', String(port))]
  const daemon = startDaemon(command ?? program, words, { env })
  const isReady = (): Promise<boolean> => answersWell(`${scheme}://127.0.0.1:${port}${healthPath}`)
  await waitUntilReady(program, daemon, isReady, { timeoutMs: 10_000, everyMs: 20 })
  return daemon
}

/** Whoever answers: whether its certificate is good is for tests to find out. */
function answersWell(url: string): Promise<boolean> {
  const { get } = url.startsWith('https:') ? https : http
  return new Promise((resolve, reject) => {
    get(url, { rejectUnauthorized: false, agent: false, timeout: 1000 }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
      .once('error', reject)
      .once('timeout', () => resolve(false))
  })
}

/** Linux kills the server when this process ends in any way; elsewhere it outlives a test process that is killed itself. */
function mortal(): readonly string[] {
  const setpriv = findProgram(path(), 'setpriv')
  return process.platform === 'linux' && setpriv !== undefined ? [setpriv, '--pdeathsig', 'KILL'] : []
}

const find = (server: 'versitygw' | 'moto'): string | undefined => (server === 'moto' ? findMoto() : findVersitygw())
const missing = (server: string): string => `${server} is not installed (CONTRIBUTING.md says how)`
const path = (): readonly string[] => (process.env['PATH'] ?? '').split(delimiter)

function demand(server: 'versitygw' | 'moto'): string {
  const program = find(server)
  if (program === undefined) throw new Error(missing(server))
  return program
}

function findProgram(folders: readonly string[], name: string): string | undefined {
  return folders.map((folder) => resolve(folder, name)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
