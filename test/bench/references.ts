/** Starts what Berth is measured beside, each on a port and in a folder of its own. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Registry, registryAt } from '../clients/berth.ts'
import { freePort } from '../clients/port.ts'
import { startDaemon, waitUntilReady } from '../clients/process.ts'

/** Debian's docker-registry, with the cache in memory that its own configuration has, and without a log as all others here. */
export async function startDistribution(folder: string, readyEveryMs?: number): Promise<Registry> {
  const address = `127.0.0.1:${await freePort()}`
  const config = join(folder, 'config.json')
  await mkdir(folder, { recursive: true })
  // YAML is a superset of JSON.
  const settings = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: {
      cache: { blobdescriptor: 'inmemory' },
      filesystem: { rootdirectory: join(folder, 'data') },
      delete: { enabled: true },
    },
    http: { addr: address },
  }
  await writeFile(config, JSON.stringify(settings))
  return started(address, 'docker-registry', ['serve', config], '/v2/', readyEveryMs)
}

/** Files with sendfile, as fast as nginx serves them, and PUT into a folder without a sync. */
export function startNginx(folder: string): Promise<Registry> {
  return startNginxWith(folder, `root ${join(folder, 'root')}; dav_methods PUT; create_full_put_path on;`)
}

/** Answers everything with the same few bytes from memory. */
export function startNullNginx(folder: string): Promise<Registry> {
  return startNginxWith(folder, `default_type application/octet-stream; return 200 "${'0'.repeat(600)}";`)
}

/** Passes everything on to a server, as it comes, by 1 MiB. */
export function startNginxProxy(folder: string, target: string): Promise<Registry> {
  const proxy = [
    `proxy_pass ${target}; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection "";`,
    'proxy_buffering off; proxy_buffer_size 1m; proxy_buffers 8 1m;',
  ]
  return startNginxWith(folder, `location = /ready { return 200; } location / { ${proxy.join(' ')} }`)
}

async function startNginxWith(folder: string, serverLines: string): Promise<Registry> {
  const address = `127.0.0.1:${await freePort()}`
  const config = join(folder, 'nginx.conf')
  await mkdir(join(folder, 'root'), { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const lines = [
    'daemon off; worker_processes auto; error_log stderr error;',
    `pid ${join(folder, 'pid')};`,
    'events { worker_connections 1024; }',
    'http {',
    '  access_log off; sendfile on; sendfile_max_chunk 2m; tcp_nopush on; client_max_body_size 0; keepalive_requests 1000000000;',
    ...temporary.map((name) => `  ${name}_temp_path ${join(folder, name)};`),
    `  server { listen ${address}; ${serverLines} }`,
    '}',
  ]
  await writeFile(join(folder, 'root', 'ready'), '')
  await writeFile(config, lines.join('\n'))
  // As root its workers would become somebody who may not read a temporary folder.
  const user = process.getuid?.() === 0 ? ['-g', 'user root;'] : []
  return started(address, 'nginx', ['-p', folder, '-c', config, ...user], '/ready')
}

export function startWritevLoop(folder: string): Promise<Registry> {
  return startOwn('writev-loop.ts', folder)
}

/** Its blobs have so many bytes. */
export function startNullServer(blobBytes: number): Promise<Registry> {
  return startOwn('null-server.ts', String(blobBytes))
}

async function startOwn(script: string, argument: string): Promise<Registry> {
  const port = await freePort()
  const args = [join(import.meta.dirname, script), String(port), argument]
  return started(`127.0.0.1:${port}`, process.execPath, args, '/', undefined, 'HEAD')
}

async function started(
  address: string,
  command: string,
  args: readonly string[],
  path: string,
  readyEveryMs?: number,
  method = 'GET',
): Promise<Registry> {
  const daemon = startDaemon(command, args)
  const registry = registryAt(address, daemon)
  const isReady = async (): Promise<boolean> => (await fetch(registry.url + path, { method })).ok
  await waitUntilReady(command, daemon, isReady, { everyMs: readyEveryMs })
  return registry
}
