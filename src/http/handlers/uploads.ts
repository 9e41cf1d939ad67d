/** Uploads: POST with its three meanings, PATCH, PUT, GET, DELETE. distribution-spec v1.1.1, end-4a, 4b, 5, 6, 11, 13; main branch: end-14. */
import { type Digest, parseAlgorithm, parseDigest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { parseName, type RepositoryName } from '../../oci/name.ts'
import { type Chunk, OutOfOrderError, type UploadStatus } from '../../registry/registry.ts'
import { mayPull } from '../authenticate.ts'
import { hasBody, openBody, type RequestBody } from '../body.ts'
import { formatUploadRange, parseContentRange } from '../content-range.ts'
import type { HttpContext, Services } from '../context.ts'
import { sendEmpty } from '../json.ts'
import { blobLocation, uploadLocation } from '../location.ts'
import { queryValue } from '../query.ts'

export interface RepositoryTarget {
  readonly name: RepositoryName
}

export interface UploadTarget extends RepositoryTarget {
  /** As the registry made it, or anything else that fits into a path. */
  readonly id: string
}

function openChunkBody(ctx: HttpContext, { limits }: Services): RequestBody {
  return (ctx.state.body = openBody(ctx.req, limits))
}

/** The chunk that a request brings. BLOB_UPLOAD_INVALID, and SIZE_INVALID when its headers contradict each other. */
function readChunk(ctx: HttpContext, services: Services): Chunk & { readonly body: RequestBody } {
  const header = ctx.req.headers['content-range']
  const range = header === undefined ? undefined : parseContentRange(header)
  const body = openChunkBody(ctx, services)
  const { length } = body
  if (range !== undefined && length !== undefined && range.end - range.start !== length) {
    throw new OciError(
      'SIZE_INVALID',
      `Content-Range announces ${range.end - range.start} bytes, Content-Length ${length}`,
    )
  }
  return { body, range, length }
}

function setUploadHeaders(ctx: HttpContext, name: RepositoryName, { id, offset }: UploadStatus): void {
  ctx.set('Location', uploadLocation(name, id))
  ctx.set('Range', formatUploadRange(offset))
  ctx.set('Docker-Upload-UUID', id)
}

function answerBlob(ctx: HttpContext, name: RepositoryName, digest: Digest): void {
  sendEmpty(ctx, 201)
  ctx.set('Location', blobLocation(name, digest))
  ctx.set('Docker-Content-Digest', digest)
}

/** Tells the client of a chunk out of order where to go on: regctl resumes from any refusal that has both headers. */
async function orResume<T>({ name, id }: UploadTarget, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof OutOfOrderError)) throw error
    const { code, message, detail, offset } = error
    const headers = { Location: uploadLocation(name, id), Range: formatUploadRange(offset), 'Docker-Upload-UUID': id }
    throw new OciError(code, message, { detail, headers, cause: error })
  }
}

/** `from` as a name; a malformed one is one that nothing can be mounted from. */
function parseSource(from: string): RepositoryName | undefined {
  try {
    return parseName(from)
  } catch {
    return undefined
  }
}

/** Whether the blob could be mounted; whatever stands against it (a source that is unknown, malformed or forbidden) is not an error. end-11. */
async function mount(ctx: HttpContext, name: RepositoryName, digest: Digest, services: Services): Promise<boolean> {
  const { registry, authoriser } = services
  const { principal } = ctx.state
  const isReadable = (repository: RepositoryName): Promise<boolean> => mayPull(authoriser, principal, repository)
  const named = queryValue(ctx, 'from')
  if (named === undefined) return registry.blobs.mount(name, digest, { mayPull: isReadable })
  const from = parseSource(named)
  if (from === undefined || !(await isReadable(from))) return false
  return registry.blobs.mount(name, digest, { from, mayPull: isReadable })
}

/** POST: a mount (`mount`), a whole blob (`digest`), or a new session. */
export async function startUpload(ctx: HttpContext, { name }: RepositoryTarget, services: Services): Promise<void> {
  const { uploads } = services.registry
  const by = ctx.state.principal.name
  const mounted = queryValue(ctx, 'mount')
  const whole = queryValue(ctx, 'digest')
  const algorithmName = queryValue(ctx, 'digest-algorithm')
  const algorithm = algorithmName === undefined ? undefined : parseAlgorithm(algorithmName)
  if (mounted !== undefined) {
    const digest = parseDigest(mounted)
    if (await mount(ctx, name, digest, services)) return answerBlob(ctx, name, digest)
  } else if (whole !== undefined) {
    const digest = parseDigest(whole)
    const body = openChunkBody(ctx, services)
    await uploads.put(name, digest, { body, length: body.length }, { by })
    return answerBlob(ctx, name, digest)
  }
  const status = await uploads.start(name, { algorithm, by })
  sendEmpty(ctx, 202)
  setUploadHeaders(ctx, name, status)
}

export async function appendChunk(ctx: HttpContext, target: UploadTarget, services: Services): Promise<void> {
  const { name, id } = target
  const chunk = readChunk(ctx, services)
  const status = await orResume(target, services.registry.uploads.append(name, id, chunk))
  sendEmpty(ctx, 202)
  setUploadHeaders(ctx, name, status)
}

export async function closeUpload(ctx: HttpContext, target: UploadTarget, services: Services): Promise<void> {
  const { name, id } = target
  const asked = queryValue(ctx, 'digest')
  if (asked === undefined) throw new OciError('DIGEST_INVALID', 'the PUT that closes an upload needs ?digest=')
  const digest = parseDigest(asked)
  const chunk =
    hasBody(ctx.req) || ctx.req.headers['content-range'] !== undefined ? readChunk(ctx, services) : undefined
  // A chunked body may turn out to have no byte: then it is no chunk.
  const isChunk = chunk !== undefined && (chunk.range !== undefined || !(await chunk.body.isEmpty()))
  await orResume(target, services.registry.uploads.close(name, id, digest, isChunk ? chunk : undefined))
  answerBlob(ctx, name, digest)
}

export async function getUpload(ctx: HttpContext, { name, id }: UploadTarget, { registry }: Services): Promise<void> {
  const status = await registry.uploads.status(name, id)
  sendEmpty(ctx, 204)
  setUploadHeaders(ctx, name, status)
}

export async function cancelUpload(
  ctx: HttpContext,
  { name, id }: UploadTarget,
  { registry }: Services,
): Promise<void> {
  await registry.uploads.cancel(name, id)
  sendEmpty(ctx, 204)
}
