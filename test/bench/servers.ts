/** What Berth is measured beside: Debian's docker-registry on a folder, and nginx with the same bytes as plain files. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, registryAt, startBerth } from '../clients/berth.ts'
import type { Registry } from '../clients/berth.ts'
import { startDaemon, waitUntilReady } from '../clients/process.ts'
import { createCpuReader } from './cpu.ts'
import type { ReadCpu } from './cpu.ts'

export interface Server {
  readonly name: string
  readonly url: string
  /** Everything that it keeps. */
  readonly folder: string
  /** A registry is pushed to by POST and PUT; files are put. */
  readonly kind: 'registry' | 'files'
  readonly readCpu: ReadCpu
  readonly stop: () => Promise<void>
}

/** All of them quiet: what a log line costs is not what differs between them. */
export function startServers(folder: string): Promise<Server[]> {
  const quiet = { BERTH_LOG_LEVEL: 'warn' }
  return Promise.all([
    start('berth', 'registry', join(folder, 'berth'), (own) => startBerth({ folder: own, env: quiet })),
    start('docker-registry', 'registry', join(folder, 'docker-registry'), startDistribution),
    start('nginx', 'files', join(folder, 'nginx'), startNginx),
  ])
}

async function start(
  name: string,
  kind: Server['kind'],
  folder: string,
  open: (folder: string) => Promise<Registry>,
): Promise<Server> {
  const { url, pid, stop } = await open(folder)
  return { name, kind, folder, url, readCpu: await createCpuReader(pid), stop }
}

async function startDistribution(folder: string): Promise<Registry> {
  const address = `127.0.0.1:${await freePort()}`
  const config = join(folder, 'config.json')
  await mkdir(folder, { recursive: true })
  // YAML is a superset of JSON.
  const settings = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: address },
  }
  await writeFile(config, JSON.stringify(settings))
  return started(address, 'docker-registry', ['serve', config], '/v2/')
}

/** Files with sendfile, as fast as nginx serves them, and PUT into a folder without a sync. */
async function startNginx(folder: string): Promise<Registry> {
  const address = `127.0.0.1:${await freePort()}`
  const config = join(folder, 'nginx.conf')
  await mkdir(join(folder, 'root'), { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const lines = [
    'daemon off; worker_processes 2; error_log stderr error;',
    `pid ${join(folder, 'pid')};`,
    'events { worker_connections 1024; }',
    'http {',
    '  access_log off; sendfile on; sendfile_max_chunk 2m; tcp_nopush on; client_max_body_size 0; keepalive_requests 1000000000;',
    ...temporary.map((name) => `  ${name}_temp_path ${join(folder, name)};`),
    `  server { listen ${address}; root ${join(folder, 'root')}; dav_methods PUT; create_full_put_path on; }`,
    '}',
  ]
  await writeFile(join(folder, 'root', 'ready'), '')
  await writeFile(config, lines.join('\n'))
  // As root its workers would become somebody who may not read a temporary folder.
  const user = process.getuid?.() === 0 ? ['-g', 'user root;'] : []
  return started(address, 'nginx', ['-p', folder, '-c', config, ...user], '/ready')
}

async function started(address: string, command: string, args: readonly string[], path: string): Promise<Registry> {
  const daemon = startDaemon(command, args)
  const registry = registryAt(address, daemon)
  await waitUntilReady(command, daemon, async () => (await fetch(registry.url + path)).ok)
  return registry
}
