/** Blobs: HEAD, GET with ranges, DELETE. distribution-spec v1.1.1, end-2 and end-10. */
import { randomBytes } from 'node:crypto'
import type { Writable } from 'node:stream'
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import type { ByteRange } from '../../storage/driver.ts'
import type { OpenBlob, Registry } from '../../registry/registry.ts'
import { allowsRange, entityTagOf, isNotModified } from '../conditional.ts'
import type { HttpContext, Services } from '../context.ts'
import { sendEmpty } from '../json.ts'
import { frameParts } from '../multipart.ts'
import { formatContentRange, parseRange } from '../range.ts'
import { dropsCredentials, isPlainRange, sendRedirect } from '../redirect.ts'
import { sendStream } from '../send.ts'

export interface BlobTarget {
  readonly name: RepositoryName
  readonly digest: Digest
}

const mediaType = 'application/octet-stream'

/** Conditions about which a server that sends the file, or the store, knows less than we do. */
const ownConditions = ['if-match', 'if-range', 'if-modified-since', 'if-unmodified-since'] as const

/** Ranges of one answer that are open at once: each may hold a file. */
const maxOpenRanges = 16

/** Writes each head and the range behind it, opening the next few when these are through. */
async function copyParts(
  { blobs }: Registry,
  { name, digest }: BlobTarget,
  first: OpenBlob,
  ranges: readonly ByteRange[],
  heads: readonly Buffer[],
  to: Writable,
): Promise<void> {
  let opened = first
  try {
    for (let i = 0; i < ranges.length; i++) {
      if (i > 0 && i % maxOpenRanges === 0) {
        opened = await blobs.open(name, digest, () => ranges.slice(i, i + maxOpenRanges))
      }
      const head = heads[i]
      if (head !== undefined) to.write(head)
      await opened.parts[i % maxOpenRanges]?.copyTo(to)
    }
  } finally {
    await opened.close()
  }
}

function setContentHeaders(ctx: HttpContext, digest: Digest): void {
  const { res } = ctx
  res.setHeader('Docker-Content-Digest', digest)
  res.setHeader('ETag', entityTagOf(digest))
  res.setHeader('Accept-Ranges', 'bytes')
}

async function headBlob(ctx: HttpContext, target: BlobTarget, { registry }: Services): Promise<void> {
  const { size } = await registry.blobs.stat(target.name, target.digest)
  setContentHeaders(ctx, target.digest)
  ctx.status = 200
  ctx.set('Content-Type', mediaType)
  ctx.length = size
}

async function answerNotModified(ctx: HttpContext, target: BlobTarget, { registry }: Services): Promise<void> {
  await registry.blobs.stat(target.name, target.digest)
  setContentHeaders(ctx, target.digest)
  ctx.status = 304
}

/** One range, or the whole blob: the bytes as they are. */
async function sendRange(
  ctx: HttpContext,
  target: BlobTarget,
  { registry, limits }: Services,
  blob: OpenBlob,
  only?: ByteRange,
): Promise<void> {
  const { start, end } = only ?? { start: 0, end: blob.size }
  ctx.status = only === undefined ? 200 : 206
  ctx.set('Content-Type', mediaType)
  if (only !== undefined) ctx.set('Content-Range', formatContentRange(only, blob.size))
  if (blob.bytes !== undefined) ctx.body = blob.bytes.subarray(start, end)
  else await sendStream(ctx, end - start, (to) => copyParts(registry, target, blob, [{ start, end }], [], to), limits)
}

/** Several ranges, in the order asked. RFC 9110 §14.6. */
async function sendParts(
  ctx: HttpContext,
  target: BlobTarget,
  { registry, limits }: Services,
  blob: OpenBlob,
  ranges: readonly ByteRange[],
): Promise<void> {
  const boundary = randomBytes(16).toString('hex')
  const { contentType, contentLength, heads, tail } = frameParts(ranges, blob.size, mediaType, boundary)
  ctx.status = 206
  ctx.set('Content-Type', contentType)
  const copy = async (to: Writable): Promise<void> => {
    await copyParts(registry, target, blob, ranges, heads, to)
    to.write(tail)
  }
  await sendStream(ctx, contentLength, copy, limits)
}

/**
 * Leaves the bytes to the server in front, where the blob is one file. That server reads `Range` of the same request, so a range it could not
 * satisfy is refused here. What it would read otherwise than we do stays here: several ranges, and conditions, which it would compare with the file.
 */
async function leaveToFront(
  ctx: HttpContext,
  { name, digest }: BlobTarget,
  { registry, limits, accelPrefix }: Services,
): Promise<boolean> {
  const { headers } = ctx.req
  if (accelPrefix === undefined || ownConditions.some((condition) => headers[condition] !== undefined)) return false
  const file = await registry.blobs.locate(name, digest)
  if (file === undefined) return false
  if (headers.range !== undefined && (parseRange(headers.range, file.size, limits.maxRanges)?.length ?? 0) > 1)
    return false
  setContentHeaders(ctx, digest)
  // Said by whoever reads the ranges; nginx would say it beside us.
  ctx.remove('Accept-Ranges')
  ctx.status = 200
  ctx.set('Content-Type', mediaType)
  ctx.set('X-Accel-Redirect', accelPrefix + encodeURI(file.path))
  ctx.body = Buffer.alloc(0)
  return true
}

/**
 * Sends the client to the store, where that signs URLs and has the blob as one object. The client repeats its range and conditions there: what the store
 * would read otherwise than we do stays here, and a range that cannot be satisfied is refused here.
 */
async function redirectToStore(
  ctx: HttpContext,
  { name, digest }: BlobTarget,
  { registry, limits, mayRedirect }: Services,
): Promise<boolean> {
  const { headers } = ctx.req
  if (!mayRedirect(ctx.state.address) || !isPlainRange(headers.range)) return false
  if (ownConditions.some((condition) => headers[condition] !== undefined)) return false
  const signed = await registry.blobs.sign(name, digest)
  if (signed === undefined || !dropsCredentials(headers.host, signed.url)) return false
  if (headers.range !== undefined) parseRange(headers.range, signed.size, limits.maxRanges)
  ctx.set('Docker-Content-Digest', digest)
  sendRedirect(ctx, signed.url)
  return true
}

export async function getBlob(ctx: HttpContext, target: BlobTarget, services: Services): Promise<void> {
  const { name, digest } = target
  const { headers, method } = ctx.req
  if (isNotModified(headers, digest)) return answerNotModified(ctx, target, services)
  // RFC 9110 §14.2: a range is for GET only.
  if (method === 'HEAD') return headBlob(ctx, target, services)
  if (await leaveToFront(ctx, target, services)) return
  if (await redirectToStore(ctx, target, services)) return
  const header = allowsRange(ctx.get('If-Range') || undefined, digest) ? headers.range : undefined
  let ranges: readonly ByteRange[] = []
  const blob = await services.registry.blobs.open(name, digest, (size) => {
    ranges = (header === undefined ? undefined : parseRange(header, size, services.limits.maxRanges)) ?? []
    return ranges.length === 0 ? [{ start: 0, end: size }] : ranges.slice(0, maxOpenRanges)
  })
  setContentHeaders(ctx, digest)
  if (ranges.length > 1) return sendParts(ctx, target, services, blob, ranges)
  return sendRange(ctx, target, services, blob, ranges[0])
}

export async function deleteBlob(
  ctx: HttpContext,
  { name, digest }: BlobTarget,
  { registry }: Services,
): Promise<void> {
  await registry.blobs.remove(name, digest)
  sendEmpty(ctx, 202)
}
