/** What a client does on a connection, once: the requests of a flow in their order. Throws when an answer is not the one it wants. */
import { randomBytes } from 'node:crypto'
import { ociManifest } from '../../../src/oci/media-types.ts'
import { type Content, contentOf, createContent } from './body.ts'
import type { Answer, Connection, Outgoing } from './connection.ts'
import type { Flow } from './jobs.ts'

const octets = { 'Content-Type': 'application/octet-stream' }

/** The repository that blobs are pushed to; nobody pulls from it. */
const pushRepository = '/v2/bench/pushed'

/** Prepares one run of a flow, and returns it: making content is not measured. */
export function prepare(flow: Flow, connection: Connection): () => Promise<unknown> {
  switch (flow.kind) {
    case 'request':
      return () => ask(connection, flow.status, flow)
    case 'push':
      return preparePush(flow, connection)
    case 'image':
      return prepareImage(flow, connection)
    case 'mount':
      return prepareMount(flow, connection)
    default:
      return refuseUnknown(flow)
  }
}

/** Does not compile when a kind is missing above. */
function refuseUnknown(flow: never): never {
  throw new Error(`unknown kind of flow: ${JSON.stringify(flow)}`)
}

type FlowOf<Kind extends Flow['kind']> = Extract<Flow, { kind: Kind }>

function preparePush({ style, bytes }: FlowOf<'push'>, connection: Connection): () => Promise<unknown> {
  const content = createContent(bytes)
  if (style !== 'file') return () => pushBlob(connection, pushRepository, content, style)
  const path = `${pushRepository}/blobs/${content.digest}`
  return () => ask(connection, 201, { method: 'PUT', path, headers: octets, body: content })
}

function prepareImage({ configBytes, layerBytes }: FlowOf<'image'>, connection: Connection): () => Promise<unknown> {
  const config = createContent(configBytes)
  const layers = layerBytes.map(createContent)
  return () => pushImage(connection, config, layers)
}

function prepareMount({ digest, from }: FlowOf<'mount'>, connection: Connection): () => Promise<unknown> {
  const repository = `mounted/${randomBytes(8).toString('hex')}`
  const path = `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${from}`
  return () => ask(connection, 201, { method: 'POST', path })
}

async function pushBlob(connection: Connection, repository: string, body: Content, style: string): Promise<void> {
  const started = await ask(connection, 202, { method: 'POST', path: `${repository}/blobs/uploads/` })
  if (style === 'put') {
    await ask(connection, 201, { method: 'PUT', path: closing(started, body), headers: octets, body })
    return
  }
  const sent = await ask(connection, 202, { method: 'PATCH', path: locationOf(started), headers: octets, body })
  await ask(connection, 201, { method: 'PUT', path: closing(sent, body) })
}

async function pushImage(connection: Connection, config: Content, layers: readonly Content[]): Promise<void> {
  const repository = '/v2/bench/images'
  for (const blob of [...layers, config]) {
    await ask(connection, 404, { method: 'HEAD', path: `${repository}/blobs/${blob.digest}` })
    await pushBlob(connection, repository, blob, 'patch')
  }
  const describe = (kind: string, { digest, size }: Content) => ({
    mediaType: `application/vnd.oci.image.${kind}`,
    digest,
    size,
  })
  const manifest = {
    schemaVersion: 2,
    mediaType: ociManifest,
    config: describe('config.v1+json', config),
    layers: layers.map((layer) => describe('layer.v1.tar+gzip', layer)),
  }
  const body = contentOf(Buffer.from(JSON.stringify(manifest)))
  const path = `${repository}/manifests/t${body.digest.slice(7, 27)}`
  await ask(connection, 201, { method: 'PUT', path, headers: { 'Content-Type': ociManifest }, body })
}

async function ask(connection: Connection, status: number, request: Outgoing): Promise<Answer> {
  const answer = await connection.exchange(request)
  if (answer.status === status) return answer
  throw new Error(`${request.method} ${request.path}: ${answer.status} instead of ${status}: ${answer.text}`)
}

/** Without the host that some servers write in front. */
function locationOf({ location }: Answer): string {
  return location.replace(/^https?:\/\/[^/]*/, '')
}

function closing(answer: Answer, { digest }: Content): string {
  const location = locationOf(answer)
  return `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`
}
