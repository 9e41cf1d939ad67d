/**
 * A Berth of a test's own, started as an operator would: a free port, a folder or bucket, environment variables, stopped by PID. With
 * `REGISTRY_UNDER_TEST=host:port` the clients meet that registry instead, which tells whether a failure is theirs; with `STORAGE_UNDER_TEST=s3` one on a
 * bucket, and with `s3-redirect` one that sends them to the S3 server for blobs.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type S3Server, startVersitygw } from '../s3/servers.ts'
import { s3Environment } from '../s3/settings.ts'
import { freePort } from './port.ts'
import { startDaemon, waitUntilReady } from './process.ts'
import type { Daemon } from './process.ts'

export interface Registry {
  /** `127.0.0.1:<port>`, as clients write it in front of a repository name. */
  readonly address: string
  readonly url: string
  readonly pid: number
  readonly output: () => string
  readonly stop: () => Promise<void>
}

export interface BerthOptions {
  readonly storage?: 'filesystem' | 'memory' | 's3'
  /** Where the data goes; without it a temporary folder, removed at the stop. */
  readonly folder?: string
  /** Where the data goes with `s3`; without it a bucket of an S3 server of its own, removed at the stop. */
  readonly s3?: Bucket
  /** Further settings. */
  readonly env?: Readonly<Record<string, string>>
  /** How often to ask whether it is ready. */
  readonly readyEveryMs?: number
}

/** A bucket that is there. */
export interface Bucket {
  readonly server: S3Server
  readonly bucket: string
}

/** Settings that say where the data goes, and what removes it. */
interface Place {
  readonly env: Readonly<Record<string, string>>
  readonly remove: () => Promise<void>
}

/** What a GET of a large blob is answered by the registry under test. */
export const blobStatus = process.env['STORAGE_UNDER_TEST'] === 's3-redirect' ? 307 : 200

/** Why a test cannot cut a download on its way through a proxy, or `false`. */
export const reasonNotToCut = blobStatus === 307 && 'large blobs come from the S3 server, past the proxy'

/** Where a test that has no wish of its own keeps its data. */
async function findUsualPlace(): Promise<Place | undefined> {
  const storage = process.env['STORAGE_UNDER_TEST'] ?? 'filesystem'
  if (storage === 'filesystem') return undefined
  if (storage !== 's3' && storage !== 's3-redirect') throw new Error('STORAGE_UNDER_TEST is s3 or s3-redirect')
  const server = await startVersitygw()
  const bucket = `berth-${randomUUID()}`
  await server.createBucket(bucket)
  // Under another name, so that clients do not send it what they send to us.
  const elsewhere = server.endpoint.replace('127.0.0.1', 'localhost')
  const redirect = { BERTH_STORAGE_S3_REDIRECT: 'true', BERTH_STORAGE_S3_REDIRECT_ENDPOINT: elsewhere }
  return {
    env: { ...s3Environment(server, bucket), ...(storage === 's3-redirect' ? redirect : {}) },
    remove: () => server.remove(),
  }
}

async function findPlace({ storage = 'filesystem', folder, s3 }: BerthOptions): Promise<Place> {
  const keep = async (): Promise<void> => {}
  if (storage === 's3') {
    if (s3 !== undefined) return { env: s3Environment(s3.server, s3.bucket), remove: keep }
    const server = await startVersitygw()
    const bucket = `berth-${randomUUID()}`
    await server.createBucket(bucket)
    return { env: s3Environment(server, bucket), remove: () => server.remove() }
  }
  const root = folder ?? (await mkdtemp(join(tmpdir(), 'berth-data-')))
  const remove = (): Promise<void> => rm(root, { recursive: true, force: true })
  return {
    env: { BERTH_STORAGE_KIND: storage, BERTH_STORAGE_FILESYSTEM_ROOT: root },
    remove: folder === undefined ? remove : keep,
  }
}

export async function startBerth(options: BerthOptions = {}): Promise<Registry> {
  const { env = {}, readyEveryMs } = options
  const other = process.env['REGISTRY_UNDER_TEST']
  if (other !== undefined) return { ...at(other), pid: -1, output: () => '', stop: async () => {} }
  const hasWish = options.storage !== undefined || options.folder !== undefined
  const place = (hasWish ? undefined : await findUsualPlace()) ?? (await findPlace(options))
  const port = await freePort()
  const daemon = startDaemon(process.execPath, [resolve('bin/berth.js'), 'serve'], {
    env: {
      BERTH_HTTP_PORT: String(port),
      BERTH_PULSE_PORT: '0',
      ...place.env,
      ...env,
    },
  })
  const registry = registryAt(`127.0.0.1:${port}`, daemon)
  const isReady = async (): Promise<boolean> => (await fetch(`${registry.url}/v2/`)).ok
  try {
    await waitUntilReady('Berth', daemon, isReady, { everyMs: readyEveryMs })
  } catch (error) {
    await place.remove()
    throw error
  }
  return {
    ...registry,
    stop: async () => {
      await daemon.stop()
      await place.remove()
    },
  }
}

/** The handle of any registry that runs as a daemon of ours. */
export function registryAt(address: string, daemon: Daemon): Registry {
  return { ...at(address), pid: daemon.pid, output: daemon.output, stop: daemon.stop }
}

function at(address: string): Pick<Registry, 'address' | 'url'> {
  return { address, url: `http://${address}` }
}
