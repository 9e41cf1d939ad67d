/** Small OCI image layouts made here, since no image can be fetched: real tar layers, a config, manifests, an index of platforms. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as v from 'valibot'
import { ociIndex, ociManifest } from '../../src/oci/media-types.ts'
import { runForBytes } from './process.ts'

const ociConfig = 'application/vnd.oci.image.config.v1+json'
const ociLayer = 'application/vnd.oci.image.layer.v1.tar+gzip'

const descriptorSchema = v.object({ mediaType: v.optional(v.string(), ''), digest: v.string(), size: v.number() })

/** The parts of a manifest or an index that these tests look at. */
const manifestSchema = v.object({
  mediaType: v.optional(v.string()),
  config: v.optional(descriptorSchema),
  layers: v.optional(v.array(descriptorSchema), []),
  manifests: v.optional(v.array(descriptorSchema), []),
})

export type Descriptor = v.InferOutput<typeof descriptorSchema>
export type Manifest = v.InferOutput<typeof manifestSchema>

export function parseManifest(bytes: Buffer): Manifest {
  return v.parse(manifestSchema, JSON.parse(bytes.toString()))
}

/** An OCI image layout on disk with one tagged manifest or index. */
export interface Layout {
  readonly folder: string
  readonly tag: string
  readonly root: Descriptor
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** The bytes that a layout has under a digest. */
export function readBlob(folder: string, digest: string): Promise<Buffer> {
  return readFile(join(folder, 'blobs', ...digest.split(':')))
}

/** The descriptor of what a layout names in its `index.json`, which some tool may have written. */
export async function readRoot(folder: string): Promise<Descriptor> {
  const [root] = parseManifest(await readFile(join(folder, 'index.json'))).manifests
  if (root === undefined) throw new Error(`${folder}/index.json names nothing`)
  return root
}

/** One image whose layers have these sizes in bytes; they do not compress, so they travel at about that size. */
export async function createImage(folder: string, layerBytes: readonly number[]): Promise<Layout> {
  await mkdir(folder, { recursive: true })
  return finish(folder, await addImage(folder, 'amd64', layerBytes))
}

/** An index of images for two architectures. */
export async function createMultiArchImage(folder: string, layerBytes: readonly number[]): Promise<Layout> {
  await mkdir(folder, { recursive: true })
  const manifests = []
  for (const architecture of ['amd64', 'arm64']) {
    const manifest = await addImage(folder, architecture, layerBytes)
    manifests.push({ ...manifest, platform: { os: 'linux', architecture } })
  }
  return finish(folder, await addJson(folder, ociIndex, { schemaVersion: 2, mediaType: ociIndex, manifests }))
}

async function addImage(folder: string, architecture: string, layerBytes: readonly number[]): Promise<Descriptor> {
  const layers = []
  const diffIds = []
  for (const [number, size] of layerBytes.entries()) {
    const tar = await createTar(folder, `layer-${number}`, size)
    diffIds.push(digestOf(tar))
    layers.push(await addBlob(folder, ociLayer, gzipSync(tar, { level: 1 })))
  }
  const config = await addJson(folder, ociConfig, {
    architecture,
    os: 'linux',
    config: { Cmd: ['/layer-0'] },
    rootfs: { type: 'layers', diff_ids: diffIds },
  })
  return addJson(folder, ociManifest, { schemaVersion: 2, mediaType: ociManifest, config, layers })
}

async function createTar(folder: string, name: string, size: number): Promise<Buffer> {
  const content = await mkdtemp(join(folder, '.content-'))
  await writeFile(join(content, name), randomBytes(size))
  return runForBytes('tar', ['--create', '--owner=0', '--group=0', '--mtime=@0', '--directory', content, name])
}

function addJson(folder: string, mediaType: string, value: unknown): Promise<Descriptor> {
  return addBlob(folder, mediaType, Buffer.from(JSON.stringify(value)))
}

async function addBlob(folder: string, mediaType: string, bytes: Buffer): Promise<Descriptor> {
  const digest = digestOf(bytes)
  const [algorithm = '', hex = ''] = digest.split(':')
  await mkdir(join(folder, 'blobs', algorithm), { recursive: true })
  await writeFile(join(folder, 'blobs', algorithm, hex), bytes)
  return { mediaType, digest, size: bytes.length }
}

async function finish(folder: string, root: Descriptor): Promise<Layout> {
  const tag = 'v1'
  const manifests = [{ ...root, annotations: { 'org.opencontainers.image.ref.name': tag } }]
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }))
  return { folder, tag, root }
}
