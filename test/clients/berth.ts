/**
 * A Berth of a test's own, started as an operator would: a free port, a folder, environment variables, stopped by PID. With
 * `REGISTRY_UNDER_TEST=host:port` the clients meet that registry instead, which tells whether a failure is theirs.
 */
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
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
  readonly storage?: 'filesystem' | 'memory'
  /** Where the data goes; without it a temporary folder, removed at the stop. */
  readonly folder?: string
  /** Further settings. */
  readonly env?: Readonly<Record<string, string>>
  /** How often to ask whether it is ready. */
  readonly readyEveryMs?: number
}

export async function startBerth(options: BerthOptions = {}): Promise<Registry> {
  const { storage = 'filesystem', folder, env = {}, readyEveryMs } = options
  const other = process.env['REGISTRY_UNDER_TEST']
  if (other !== undefined) return { ...at(other), pid: -1, output: () => '', stop: async () => {} }
  const own = folder === undefined ? await mkdtemp(join(tmpdir(), 'berth-data-')) : undefined
  const port = await freePort()
  const daemon = startDaemon(process.execPath, [resolve('bin/berth.js'), 'serve'], {
    env: {
      BERTH_HTTP_PORT: String(port),
      BERTH_PULSE_PORT: '0',
      BERTH_STORAGE_KIND: storage,
      BERTH_STORAGE_FILESYSTEM_ROOT: folder ?? own ?? '',
      ...env,
    },
  })
  const registry = registryAt(`127.0.0.1:${port}`, daemon)
  await waitUntilReady('Berth', daemon, async () => (await fetch(`${registry.url}/v2/`)).ok, { everyMs: readyEveryMs })
  return {
    ...registry,
    stop: async () => {
      await daemon.stop()
      if (own !== undefined) await rm(own, { recursive: true, force: true })
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

/**
 * A port that nobody listens on. It lies below those that the system gives to outgoing connections (32,768 and up on Linux): one of them
 * could be taken before the server under test listens, by any client that runs at the same time.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(10_000, 32_768)
  return (await canListen(port)) ? port : freePort()
}

function canListen(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
