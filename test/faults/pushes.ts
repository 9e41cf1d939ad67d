/** Small images that are pushed over HTTP, and what became of them. */
import { randomBytes } from 'node:crypto'
import { digestOf } from '../clients/layout.ts'
import { contentOf, createImage } from '../soak/content.ts'
import type { Image } from '../soak/model.ts'

export interface Outcome {
  readonly status: number
  readonly body: string
}

export async function send(url: string, method: string, headers: Record<string, string> = {}, body?: Buffer) {
  const response = await fetch(url, { method, headers, ...(body !== undefined && { body: new Uint8Array(body) }) })
  return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()), headers: response.headers }
}

export function pathOf({ repository, digest }: Image): string {
  return `/v2/${repository}/manifests/${digest}`
}

/** An image with one layer of random text. */
export function createSmallImage(repository: string, name: string, layerBytes: number): Image {
  return createImage(repository, name, [contentOf(Buffer.from(randomBytes(layerBytes / 2).toString('hex')))])
}

/** Pushes an image under a tag; the first answer that refuses, or the last one. */
export async function pushImage(url: string, image: Image, tag: string): Promise<Outcome> {
  const { repository, blobs, mediaType, bytes } = image
  for (const blob of blobs) {
    const path = `${url}/v2/${repository}/blobs/uploads/?digest=${encodeURIComponent(blob.digest)}`
    const answer = await send(path, 'POST', { 'content-type': 'application/octet-stream' }, blob.bytes)
    if (answer.status !== 201) return { status: answer.status, body: answer.bytes.toString() }
  }
  const answer = await send(`${url}/v2/${repository}/manifests/${tag}`, 'PUT', { 'content-type': mediaType }, bytes)
  return { status: answer.status, body: answer.bytes.toString() }
}

/** Whether every byte of an image is served; the first thing that is not. */
export async function findFlaw(url: string, image: Image): Promise<string | undefined> {
  const paths = [
    [pathOf(image), image.digest] as const,
    ...image.blobs.map(({ digest }) => [`/v2/${image.repository}/blobs/${digest}`, digest] as const),
  ]
  for (const [path, digest] of paths) {
    const { status, bytes } = await send(url + path, 'GET')
    if (status !== 200 || digestOf(bytes) !== digest) return `GET ${path}: ${status}, ${bytes.length} bytes`
  }
  return undefined
}
