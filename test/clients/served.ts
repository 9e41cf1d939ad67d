/** What a registry serves, asked over plain HTTP and compared byte for byte: the judge that no client under test takes part in. */
import assert from 'node:assert/strict'
import { manifestMediaTypes } from '../../src/oci/media-types.ts'
import type { Registry } from './berth.ts'
import { digestOf, parseManifest, readBlob } from './layout.ts'
import type { Descriptor, Layout } from './layout.ts'

export interface Served {
  readonly bytes: Buffer
  readonly digest: string
  readonly mediaType: string
}

export async function getManifest(registry: Registry, repository: string, reference: string): Promise<Served> {
  const response = await get(registry, `/v2/${repository}/manifests/${reference}`)
  const bytes = Buffer.from(await response.arrayBuffer())
  const digest = response.headers.get('docker-content-digest') ?? ''
  assert.equal(digest, digestOf(bytes), 'Docker-Content-Digest is the digest of the body')
  return { bytes, digest, mediaType: response.headers.get('content-type') ?? '' }
}

export async function getBlob(registry: Registry, repository: string, digest: string): Promise<Buffer> {
  const response = await get(registry, `/v2/${repository}/blobs/${digest}`)
  return Buffer.from(await response.arrayBuffer())
}

/** The status of a HEAD: 200 or 404 in these tests. */
export async function statusOf(registry: Registry, path: string): Promise<number> {
  return (await fetch(registry.url + path, { method: 'HEAD', headers: accept })).status
}

export async function listTags(registry: Registry, repository: string): Promise<unknown> {
  return (await get(registry, `/v2/${repository}/tags/list`)).json()
}

/** Compares the manifest, its children and all blobs of a tag with those of a layout, byte for byte. */
export async function assertServes(
  registry: Registry,
  repository: string,
  reference: string,
  layout: Layout,
): Promise<void> {
  const served = await getManifest(registry, repository, reference)
  assert.equal(served.digest, layout.root.digest)
  await assertServesManifest(registry, repository, layout.folder, layout.root)
}

async function assertServesManifest(
  registry: Registry,
  repository: string,
  folder: string,
  { digest, mediaType }: Descriptor,
): Promise<void> {
  const served = await getManifest(registry, repository, digest)
  assert.equal(served.mediaType, mediaType)
  assert.ok(served.bytes.equals(await readBlob(folder, digest)), `manifest ${digest}`)
  const { config, layers, manifests } = parseManifest(served.bytes)
  for (const blob of [...(config === undefined ? [] : [config]), ...layers]) {
    const bytes = await getBlob(registry, repository, blob.digest)
    assert.ok(bytes.equals(await readBlob(folder, blob.digest)), `blob ${blob.digest}`)
  }
  for (const child of manifests) await assertServesManifest(registry, repository, folder, child)
}

/** Compares what two layouts hold below one digest, byte for byte. */
export async function assertSameContent(one: string, other: string, digest: string): Promise<void> {
  const bytes = await readBlob(one, digest)
  assert.ok(bytes.equals(await readBlob(other, digest)), `manifest ${digest}`)
  const { config, layers, manifests } = parseManifest(bytes)
  for (const blob of [...(config === undefined ? [] : [config]), ...layers]) {
    const [left, right] = [await readBlob(one, blob.digest), await readBlob(other, blob.digest)]
    assert.ok(left.equals(right), `blob ${blob.digest}`)
  }
  for (const child of manifests) await assertSameContent(one, other, child.digest)
}

const accept = { accept: manifestMediaTypes.join(', ') }

async function get(registry: Registry, path: string): Promise<Response> {
  const response = await fetch(registry.url + path, { headers: accept })
  if (!response.ok) assert.fail(`GET ${path}: ${response.status} ${await response.text()}`)
  return response
}
