/** An nginx of a test's own that runs the configuration of docs/nginx.md, with the addresses and the folder of the test put in. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { registryAt } from './berth.ts'
import { freePort } from './port.ts'
import type { Registry } from './berth.ts'
import { startDaemon, waitUntilReady } from './process.ts'

/** Where what the page says is put in by us; each must be there. */
function fillIn(page: string, values: Readonly<Record<string, string>>): string {
  return Object.entries(values).reduce((text, [written, value]) => {
    if (!text.includes(written)) throw new Error(`docs/nginx.md does not say ${written}`)
    return text.replaceAll(written, value)
  }, page)
}

/** Starts it in front of `berth`, whose data lies in `data`; `folder` is for its own files. */
export async function startNginx(folder: string, berth: Registry, data: string): Promise<Registry> {
  const page = await readFile(join(import.meta.dirname, '../../docs/nginx.md'), 'utf8')
  const block = /^```nginx\n(.*?)^```$/ms.exec(page)?.[1] ?? ''
  const address = `127.0.0.1:${await freePort()}`
  const server = fillIn(block, {
    '127.0.0.1:5000': berth.address,
    'listen 80': `listen ${address}`,
    '/srv/berth': data,
  })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  )
  const lines = [
    'daemon off; error_log stderr error;',
    `pid ${join(folder, 'pid')};`,
    'events { worker_connections 1024; }',
    `http { access_log off; ${temporary.join(' ')}`,
    server,
    '}',
  ]
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'nginx.conf'), lines.join('\n'))
  // As root its workers would become somebody who may not read a temporary folder.
  const user = process.getuid?.() === 0 ? ['-g', 'user root;'] : []
  const daemon = startDaemon('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), ...user])
  const registry = registryAt(address, daemon)
  await waitUntilReady('nginx', daemon, async () => (await fetch(`${registry.url}/v2/`)).ok)
  return registry
}
