/** Images of random bytes, each made once. */
import { ociIndex, ociManifest } from '../../src/oci/media-types.ts'
import { digestOf } from '../clients/layout.ts'
import type { Random } from '../replicas/random.ts'
import type { Content, Image } from './model.ts'

export function contentOf(bytes: Buffer): Content {
  return { digest: digestOf(bytes), bytes }
}

/**
 * Mostly small; one of twelve has up to `maxBytes`, large enough for a kill to come in the middle. At least 16 bytes, because a `Range` of `0-0` means
 * none.
 */
export function createContent(random: Random, maxBytes: number): Content {
  return contentOf(random.bytes(16 + random.below(random.below(12) === 0 ? maxBytes : 60_000)))
}

function describe(mediaType: string, { digest, bytes }: Content): object {
  return { mediaType, digest, size: bytes.length }
}

function imageFrom(
  repository: string,
  mediaType: string,
  manifest: object,
  parts: Pick<Image, 'blobs' | 'children'>,
): Image {
  const content = contentOf(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...manifest })))
  return { ...content, ...parts, repository, mediaType, state: 'absent', changes: 0 }
}

/** An image; `name` must never repeat. */
export function createImage(repository: string, name: string, layers: readonly Content[]): Image {
  const config = contentOf(Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', made: name })))
  const manifest = {
    config: describe('application/vnd.oci.image.config.v1+json', config),
    layers: layers.map((layer) => describe('application/vnd.oci.image.layer.v1.tar', layer)),
  }
  return imageFrom(repository, ociManifest, manifest, { blobs: [config, ...new Set(layers)], children: [] })
}

/** An index of images of one repository. */
export function createIndex(repository: string, name: string, children: readonly Image[]): Image {
  const manifests = children.map((child) => describe(child.mediaType, child))
  return imageFrom(repository, ociIndex, { manifests, annotations: { made: name } }, { blobs: [], children })
}
