/** Manifests: HEAD, GET, PUT, DELETE. distribution-spec v1.1.1, end-3, end-7, end-9. */
import { OciError } from '../../oci/errors.ts'
import { parseTag, type Reference, type RepositoryName, type Tag } from '../../oci/name.ts'
import { openBody, readWhole } from '../body.ts'
import { entityTagOf, isNotModified } from '../conditional.ts'
import type { HttpContext, HttpLimits, Services } from '../context.ts'
import { sendEmpty } from '../json.ts'
import { manifestLocation } from '../location.ts'
import { queryValues } from '../query.ts'

export interface ManifestTarget {
  readonly name: RepositoryName
  readonly reference: Reference
}

/** The hot path of every pull. `Accept` is not looked at: what was pushed is what is served, byte for byte. */
export async function getManifest(
  ctx: HttpContext,
  { name, reference }: ManifestTarget,
  { registry }: Services,
): Promise<void> {
  const { digest, mediaType, bytes } = await registry.manifests.get(name, reference)
  const { req, res } = ctx
  res.setHeader('Docker-Content-Digest', digest)
  res.setHeader('ETag', entityTagOf(digest))
  if (isNotModified(req.headers, digest)) {
    ctx.status = 304
    return
  }
  res.setHeader('Content-Type', mediaType)
  ctx.body = bytes
}

/** `Content-Type` without parameters; undefined when there is none. Its letters have no case. RFC 9110 §8.3.1. */
function mediaTypeOf(contentType: string | undefined): string | undefined {
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  return mediaType === '' ? undefined : mediaType
}

/** `?tag=`, each once. Source: distribution-spec, main branch, "Pushing Manifests". */
function readTags(ctx: HttpContext, { maxTagsPerPush }: HttpLimits): readonly Tag[] {
  const tags = [...new Set(queryValues(ctx, 'tag'))].map(parseTag)
  if (tags.length <= maxTagsPerPush) return tags
  throw new OciError('REQUEST_INVALID', `a push may give at most ${maxTagsPerPush} tags`)
}

export async function putManifest(
  ctx: HttpContext,
  { name, reference }: ManifestTarget,
  { registry, limits }: Services,
): Promise<void> {
  const tags = readTags(ctx, limits)
  const mediaType = mediaTypeOf(ctx.req.headers['content-type'])
  const body = openBody(ctx.req, { ...limits, maxBytes: limits.maxManifestBytes })
  ctx.state.body = body
  const bytes = await readWhole(body)
  const by = ctx.state.principal.name
  const { digest, subject } = await registry.manifests.put(name, { reference, tags, mediaType, bytes, by })
  sendEmpty(ctx, 201)
  ctx.set('Location', manifestLocation(name, digest))
  ctx.set('Docker-Content-Digest', digest)
  if (subject !== undefined) ctx.set('OCI-Subject', subject)
  if (tags.length > 0) ctx.set('OCI-Tag', [...tags])
}

export async function deleteManifest(
  ctx: HttpContext,
  { name, reference }: ManifestTarget,
  { registry }: Services,
): Promise<void> {
  await registry.manifests.remove(name, reference)
  sendEmpty(ctx, 202)
}
