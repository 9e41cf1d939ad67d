/**
 * One of the clients that work at the same time: it pushes, re-tags and deletes at random, and remembers what it was told. Its manifests and
 * its tags are its own, so that what must be there in the end is known; blobs, repositories and the tag `latest` are everybody's.
 */
import assert from 'node:assert/strict'
import { ociManifest } from '../../src/oci/media-types.ts'
import { digestOf } from '../clients/layout.ts'
import type { Random } from './random.ts'
import type { Send } from './requests.ts'
import { cancelUpload, uploadBlob, uploadWays } from './upload.ts'

export const repositories = ['team/one', 'team/two', 'other/three'] as const

export interface Image {
  readonly repository: string
  readonly digest: string
  readonly manifest: Buffer
  readonly blobs: readonly Buffer[]
}

/** A write of the tag that all workers move; one that began after this one's answer replaces it. */
export interface SharedTagWrite {
  readonly image: Image
  readonly beganAt: number
  readonly endedAt: number
}

/** What the registry acknowledged to one worker. */
export interface Acknowledged {
  readonly present: Map<string, Image>
  readonly deleted: Map<string, Image>
  /** `repository:tag` → what it names; undefined after a DELETE. */
  readonly tags: Map<string, Image | undefined>
  readonly shared: SharedTagWrite[]
}

export interface Worker {
  readonly step: () => Promise<void>
  readonly acknowledged: Acknowledged
}

export interface WorkerOptions {
  readonly name: string
  readonly send: Send
  readonly random: Random
  /** Blobs that many manifests of many workers name. */
  readonly sharedBlobs: readonly Buffer[]
}

export const sharedTag = 'latest'

/** Identifies an image or a tag within all repositories. */
export function keyOf(image: Image): string {
  return `${image.repository}@${image.digest}`
}

export function createWorker({ name, send, random, sharedBlobs }: WorkerOptions): Worker {
  const present = new Map<string, Image>()
  const deleted = new Map<string, Image>()
  const tags = new Map<string, Image | undefined>()
  const shared: SharedTagWrite[] = []
  let count = 0

  const randomTag = (): string => `${name}-${random.below(4)}`
  const putManifest = async ({ repository, manifest, digest }: Image, reference: string): Promise<void> => {
    const path = `/v2/${repository}/manifests/${reference}`
    const headers = { 'content-type': ociManifest }
    const answer = await send({ method: 'PUT', path, headers, body: manifest, expect: [201] })
    assert.equal(answer.headers.get('docker-content-digest'), digest)
  }

  async function push(image: Image): Promise<void> {
    await Promise.all(
      image.blobs.map(async (bytes) => {
        const path = `/v2/${image.repository}/blobs/${digestOf(bytes)}`
        const there = await send({ method: 'HEAD', path, expect: [200, 404] })
        if (there.status === 200) return
        const upload = {
          repository: image.repository,
          bytes,
          way: random.pick(uploadWays),
          from: random.pick(repositories),
        }
        await uploadBlob(send, random, upload)
        await send({ method: 'HEAD', path, expect: [200] })
      }),
    )
    const tag = randomTag()
    await putManifest(image, tag)
    present.set(keyOf(image), image)
    deleted.delete(keyOf(image))
    tags.set(`${image.repository}:${tag}`, image)
  }

  async function tagAgain(): Promise<void> {
    const image = random.pick([...present.values()])
    const tag = randomTag()
    await putManifest(image, tag)
    tags.set(`${image.repository}:${tag}`, image)
  }

  /** The images that `latest` was ever moved to stay, or a worker would delete what another's last word is about. */
  async function moveSharedTag(): Promise<void> {
    const image = random.pick([...present.values()])
    const beganAt = performance.now()
    await putManifest(image, sharedTag)
    shared.push({ image, beganAt, endedAt: performance.now() })
  }

  async function deleteManifest(): Promise<void> {
    const kept = new Set(shared.map((write) => keyOf(write.image)))
    const image = [...present.values()].find((candidate) => !kept.has(keyOf(candidate)))
    if (image === undefined) return
    const path = `/v2/${image.repository}/manifests/${image.digest}`
    await send({ method: 'DELETE', path, expect: [202] })
    await send({ method: 'HEAD', path, expect: [404] })
    present.delete(keyOf(image))
    deleted.set(keyOf(image), image)
    for (const [tag, named] of tags) if (named === image) tags.set(tag, undefined)
  }

  async function deleteTag(): Promise<void> {
    const [key] = [...tags].filter(([, image]) => image !== undefined).map(([tag]) => tag)
    if (key === undefined) return
    const path = `/v2/${key.replace(':', '/manifests/')}`
    await send({ method: 'DELETE', path, expect: [202] })
    await send({ method: 'HEAD', path, expect: [404] })
    tags.set(key, undefined)
  }

  async function readTag(): Promise<void> {
    const [key, image] = random.pick([...tags])
    const path = `/v2/${key.replace(':', '/manifests/')}`
    const answer = await send({ method: 'GET', path, expect: [image === undefined ? 404 : 200] })
    if (image !== undefined) assert.ok(answer.body.equals(image.manifest), `${key} names ${digestOf(answer.body)}`)
  }

  function createImage(): Image {
    count += 1
    const layers = [random.bytes(1 + random.below(200_000))]
    for (let more = random.below(4); more > 0; more--) layers.push(random.pick(sharedBlobs))
    const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', made: `${name} ${count}` }))
    const describe = (mediaType: string, bytes: Buffer): object => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
    })
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: ociManifest,
        config: describe('application/vnd.oci.image.config.v1+json', config),
        layers: layers.map((bytes) => describe('application/vnd.oci.image.layer.v1.tar', bytes)),
      }),
    )
    return {
      repository: random.pick(repositories),
      digest: digestOf(manifest),
      manifest,
      blobs: [config, ...new Set(layers)],
    }
  }

  const steps = [
    () => push(createImage()),
    () => push(createImage()),
    () => push(deleted.size > 0 ? random.pick([...deleted.values()]) : createImage()),
    tagAgain,
    moveSharedTag,
    deleteManifest,
    deleteTag,
    readTag,
    () => cancelUpload(send, random.pick(repositories), random.bytes(2 + random.below(200_000))),
  ]
  return {
    step: () => (present.size === 0 ? push(createImage()) : random.pick(steps)()),
    acknowledged: { present, deleted, tags, shared },
  }
}
