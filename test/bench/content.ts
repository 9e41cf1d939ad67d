/** What is pulled from the servers: the same bytes in each of them. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { dockerManifest, ociManifest } from '../../src/oci/media-types.ts'
import { digestOf } from '../clients/layout.ts'
import type { Server } from './servers.ts'

const mebibyte = 1024 * 1024
export const bigMebibytes = 256
export const smallKibibytes = 10

export const image = 'bench/image'
const referrers = 100

export interface Content {
  readonly big: Buffer
  readonly small: Buffer
  readonly config: Buffer
  /** Names the big blob and the config; under the tag `v1`. */
  readonly manifest: Buffer
}

export function createContent(): Content {
  const big = randomBytes(bigMebibytes * mebibyte)
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
  const layers = [describe('application/vnd.docker.image.rootfs.diff.tar.gzip', big)]
  const about = describe('application/vnd.docker.container.image.v1+json', config)
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: dockerManifest, config: about, layers }))
  return { big, small: randomBytes(smallKibibytes * 1024), config, manifest }
}

function describe(mediaType: string, bytes: Buffer) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

/** Pushes it to a registry. */
export async function push({ url }: Server, { big, small, config, manifest }: Content): Promise<void> {
  for (const bytes of [big, small, config]) await pushBlob(url, bytes)
  await pushManifest(url, 'v1', dockerManifest, manifest)
}

/** Writes it where nginx serves it from. */
export async function writeFiles({ folder }: Server, { big, small, manifest }: Content): Promise<void> {
  const base = join(folder, 'root/v2', image)
  await mkdir(join(base, 'blobs'), { recursive: true })
  await mkdir(join(base, 'manifests'), { recursive: true })
  for (const bytes of [big, small]) await writeFile(join(base, 'blobs', digestOf(bytes)), bytes)
  for (const reference of ['v1', digestOf(manifest)]) await writeFile(join(base, 'manifests', reference), manifest)
}

/** Lets nginx have what Berth answers to these paths; of two that differ behind the question mark, the first. */
export async function copyAnswers(from: Server, to: Server, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const answer = await fetch(from.url + path)
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
    const file = join(to.folder, 'root', path.replace(/\?.*/, ''))
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, Buffer.from(await answer.arrayBuffer()))
  }
}

/** Manifests that refer to the image. */
export async function pushReferrers({ url }: Server, { config, manifest }: Content): Promise<void> {
  for (let i = 0; i < referrers; i++) {
    const referrer = {
      schemaVersion: 2,
      mediaType: ociManifest,
      artifactType: 'application/vnd.bench.signature',
      config: describe('application/vnd.oci.image.config.v1+json', config),
      layers: [],
      subject: describe(dockerManifest, manifest),
      annotations: { 'org.bench.number': String(i) },
    }
    const bytes = Buffer.from(JSON.stringify(referrer))
    await pushManifest(url, digestOf(bytes), ociManifest, bytes)
  }
}

async function pushBlob(url: string, bytes: Buffer): Promise<void> {
  const started = await send(`${url}/v2/${image}/blobs/uploads/`, { method: 'POST' })
  const location = new URL(started.headers.get('location') ?? '', url)
  location.searchParams.set('digest', digestOf(bytes))
  const headers = { 'content-type': 'application/octet-stream' }
  await send(location.href, { method: 'PUT', headers, body: new Uint8Array(bytes) })
}

async function pushManifest(url: string, reference: string, mediaType: string, bytes: Buffer): Promise<void> {
  const headers = { 'content-type': mediaType }
  const path = `${url}/v2/${image}/manifests/${reference}`
  await send(path, { method: 'PUT', headers, body: new Uint8Array(bytes) })
}

async function send(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init)
  if (!response.ok) throw new Error(`${init.method} ${url}: ${response.status} ${await response.text()}`)
  await response.arrayBuffer()
  return response
}
