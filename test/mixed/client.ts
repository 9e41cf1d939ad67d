/**
 * One client of a mixed load. It pushes images as docker does (POST, PATCH, PUT) or with fewer requests, moves `latest`, mounts layers of others, pulls
 * what any client has pushed, leaves now and then in the middle, and deletes its oldest image when it has enough: the store stays as large as it is.
 */
import { randomBytes } from 'node:crypto'
import { ociManifest } from '../../src/oci/media-types.ts'
import { digestOf } from '../clients/layout.ts'
import type { Random } from '../replicas/random.ts'
import { breakOff, type Line, send } from './send.ts'

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

export interface Image {
  readonly repository: string
  readonly tag: string
  readonly digest: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  /** Clients that pull it, or mount a layer of it: it is not deleted meanwhile. */
  readers: number
}

export interface ClientOptions {
  readonly name: string
  readonly line: Line
  readonly random: Random
  /** What all clients have pushed and not deleted. */
  readonly images: Set<Image>
}

export interface Client {
  readonly pull: () => Promise<void>
  readonly push: () => Promise<void>
}

/** Images that a client keeps. */
const maxImages = 20

/** Layers are cut out of these bytes, each with a beginning of its own. */
const material = randomBytes(4 * 1024 * 1024)

/** Mostly small, as layers are; one in ten has some MiB. */
function createLayer(random: Random): Buffer {
  const bytes = Buffer.from(material.subarray(0, 64 + random.below(random.below(10) === 0 ? material.length : 100_000)))
  randomBytes(32).copy(bytes)
  return bytes
}

function createConfig(name: string): Buffer {
  return Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', made: name }))
}

function describe(kind: 'config' | 'layer', bytes: Buffer): Descriptor {
  const mediaType = `application/vnd.oci.image.${kind === 'config' ? 'config.v1+json' : 'layer.v1.tar'}`
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

export function createClient({ name, line, random, images }: ClientOptions): Client {
  const repository = `team/${name}`
  const uploads = `/v2/${repository}/blobs/uploads/`
  const own: Image[] = []
  let pushes = 0

  async function startUpload(): Promise<string> {
    return (await send(line, { method: 'POST', path: uploads, expect: [202] })).location
  }

  async function pushBlob(kind: 'config' | 'layer', body: Buffer): Promise<Descriptor> {
    const descriptor = describe(kind, body)
    const { digest } = descriptor
    await send(line, { method: 'HEAD', path: `/v2/${repository}/blobs/${digest}`, expect: [404] })
    const way = random.below(3)
    if (way === 0) {
      await send(line, { method: 'POST', path: `${uploads}?digest=${digest}`, body, expect: [201] })
      return descriptor
    }
    const location = await startUpload()
    if (way === 1) await send(line, { method: 'PATCH', path: location, body, expect: [202] })
    const rest = way === 1 ? {} : { body }
    await send(line, { method: 'PUT', path: `${location}?digest=${digest}`, ...rest, expect: [201] })
    return descriptor
  }

  /** A layer that another client has pushed. */
  async function mount(from: Image, layer: Descriptor): Promise<readonly Descriptor[]> {
    from.readers++
    try {
      const path = `${uploads}?mount=${layer.digest}&from=${from.repository}`
      const { status, location } = await send(line, { method: 'POST', path, expect: [201, 202] })
      if (status === 201) return [layer]
      await send(line, { method: 'DELETE', path: location, expect: [204] })
      return []
    } finally {
      from.readers--
    }
  }

  async function mountAny(): Promise<readonly Descriptor[]> {
    const others = [...images].filter((image) => image.repository !== repository)
    if (others.length === 0) return []
    const from = random.pick(others)
    return mount(from, random.pick(from.layers))
  }

  /** A session that nobody ends; half of the time its client leaves within a body. */
  async function leaveUpload(): Promise<void> {
    const location = await startUpload()
    if (random.below(2) === 0) await breakOff(line, 'PATCH', location, createLayer(random))
  }

  async function deleteOldest(): Promise<void> {
    const oldest = own.find(({ readers }) => readers === 0)
    if (oldest === undefined) return
    own.splice(own.indexOf(oldest), 1)
    images.delete(oldest)
    const path = `/v2/${repository}/manifests`
    if (random.below(2) === 0) await send(line, { method: 'DELETE', path: `${path}/${oldest.tag}`, expect: [202] })
    await send(line, { method: 'DELETE', path: `${path}/${oldest.digest}`, expect: [202] })
  }

  async function push(): Promise<void> {
    if (random.below(20) === 0) await leaveUpload()
    const tag = `v${pushes++}`
    const mounted = random.below(4) === 0 ? await mountAny() : []
    const config = await pushBlob('config', createConfig(`${name} ${tag}`))
    const made = Array.from({ length: 1 + random.below(3) }, () => createLayer(random))
    const layers = [...mounted, ...(await Promise.all(made.map((layer) => pushBlob('layer', layer))))]
    const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers }))
    for (const reference of [tag, 'latest']) {
      const path = `/v2/${repository}/manifests/${reference}`
      await send(line, { method: 'PUT', path, headers: { 'Content-Type': ociManifest }, body, expect: [201] })
    }
    const image = { repository, tag, digest: digestOf(body), config, layers, readers: 0 }
    own.push(image)
    images.add(image)
    if (own.length > maxImages) await deleteOldest()
  }

  async function pullBlob({ repository }: Image, { digest, size }: Descriptor): Promise<void> {
    const get = { method: 'GET', path: `/v2/${repository}/blobs/${digest}` } as const
    if (random.below(30) === 0) return void (await send(line, { ...get, expect: [200], leaveAfterBytes: size / 3 }))
    await send(line, { ...get, expect: [200], digest })
  }

  async function pull(): Promise<void> {
    if (images.size === 0) return push()
    const image = random.pick([...images])
    const { repository, tag, digest, config, layers } = image
    const manifests = `/v2/${repository}/manifests`
    image.readers++
    try {
      await send(line, { method: 'HEAD', path: `${manifests}/${tag}`, expect: [200] })
      await send(line, { method: 'GET', path: `${manifests}/${digest}`, expect: [200], digest })
      await Promise.all([config, ...layers].map((blob) => pullBlob(image, blob)))
      if (random.below(10) === 0)
        await send(line, { method: 'GET', path: `/v2/${repository}/tags/list`, expect: [200] })
    } finally {
      image.readers--
    }
  }

  return { pull, push }
}
