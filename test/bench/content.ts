/** The same content in every server: a manifest under a tag and a big blob, and fresh bytes for every push. */
import { createHash, randomBytes } from 'node:crypto'
import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dockerManifest } from '../../src/oci/media-types.ts'
import { digestOf } from '../clients/layout.ts'
import type { Server } from './servers.ts'

export const blobMebibytes = 256

export const manifestPath = '/v2/bench/image/manifests/v1'

export function blobPath(digest: string): string {
  return `/v2/bench/image/blobs/${digest}`
}

/** A file of random bytes whose content, and so whose digest, can be changed by a few bytes at its start. */
export interface BlobFile {
  readonly path: string
  /** Makes it a new blob and returns its digest. */
  readonly renew: () => Promise<string>
}

export async function createBlobFile(path: string): Promise<BlobFile> {
  const bytes = randomBytes(blobMebibytes * 1024 * 1024)
  await writeFile(path, bytes)
  return {
    path,
    renew: async () => {
      randomBytes(16).copy(bytes)
      const file = await open(path, 'r+')
      await file.write(bytes, 0, 16, 0)
      await file.close()
      return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    },
  }
}

export interface PushedFiles {
  /** Removes what was pushed to a server since, from the disk: a page cache that grows with every push would be measured, too. */
  readonly remove: (server: Server) => Promise<void>
}

/** Remembers the big files that the servers have now. */
export async function createPushedFiles(servers: readonly Server[]): Promise<PushedFiles> {
  const kept = new Set((await Promise.all(servers.map((server) => listBlobFiles(server.folder)))).flat())
  return {
    remove: async ({ folder }) => {
      const files = await listBlobFiles(folder)
      await Promise.all(files.filter((file) => !kept.has(file)).map((file) => rm(file)))
    },
  }
}

async function listBlobFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  return files.filter((_, number) => sizes[number] === blobMebibytes * 1024 * 1024)
}

/** Brings the blob of the file, a config and a manifest into a server. */
export async function fill(server: Server, blob: BlobFile, digest: string): Promise<void> {
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
  const layer = await readFile(blob.path)
  await put(server, digest, layer)
  await put(server, digestOf(config), config)
  const layers = [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', digest, size: layer.length }]
  const about = {
    mediaType: 'application/vnd.docker.container.image.v1+json',
    digest: digestOf(config),
    size: config.length,
  }
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType: dockerManifest, config: about, layers })
  await send(server.url + manifestPath, { method: 'PUT', headers: { 'content-type': dockerManifest }, body: manifest })
}

async function put(server: Server, digest: string, bytes: Buffer): Promise<void> {
  await send(await startPush(server, digest), { method: 'PUT', body: new Uint8Array(bytes) })
}

/** Where a blob can be put: the first half of a push. */
export async function startPush(server: Server, digest: string): Promise<string> {
  if (server.kind === 'files') return server.url + blobPath(digest)
  const started = await send(`${server.url}/v2/bench/image/blobs/uploads/`, { method: 'POST' })
  const location = new URL(started.headers.get('location') ?? '', server.url)
  location.searchParams.set('digest', digest)
  return location.href
}

async function send(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init)
  if (!response.ok) throw new Error(`${init.method} ${url}: ${response.status} ${await response.text()}`)
  await response.arrayBuffer()
  return response
}
