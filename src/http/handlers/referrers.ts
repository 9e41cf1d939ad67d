/** What refers to a manifest. distribution-spec v1.1.1, end-12a and end-12b. */
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest.ts'
import { parseDigest } from '../../oci/digest.ts'
import { ociIndex } from '../../oci/media-types.ts'
import type { Page } from '../../registry/registry.ts'
import type { HttpContext, Services } from '../context.ts'
import { formatNextLink, readPage } from '../pagination.ts'
import { queryValue } from '../query.ts'
import type { BlobTarget } from './blobs.ts'

interface Encoded {
  /** Each descriptor as JSON. */
  readonly items: readonly string[]
  readonly next: Digest | undefined
}

/** Cuts a page where its descriptors would pass `maxBytes` (at least one stays): clients stop reading an index at 4 MiB. */
function encodePage(page: Page<Descriptor, Digest>, maxBytes: number): Encoded {
  const items: string[] = []
  let bytes = 0
  for (const item of page.items) {
    const text = JSON.stringify(item)
    bytes += Buffer.byteLength(text) + 1
    if (bytes > maxBytes && items.length > 0) return { items, next: page.items[items.length - 1]?.digest }
    items.push(text)
  }
  return { items, next: page.next }
}

export async function listReferrers(ctx: HttpContext, { name, digest }: BlobTarget, services: Services): Promise<void> {
  const { registry, limits } = services
  const size = limits.referrersPageSize
  const { limit, last } = readPage(ctx, { standard: size, max: size }, parseDigest)
  // Many clients leave the `+` of a media type unescaped, which is a space in a query; a media type has no spaces.
  const artifactType = queryValue(ctx, 'artifactType')?.replaceAll(' ', '+') || undefined
  const page: Page<Descriptor, Digest> =
    limit === 0 ? { items: [] } : await registry.referrers.list(name, digest, { limit, last, artifactType })
  const { items, next } = encodePage(page, limits.referrersPageBytes)
  if (next !== undefined) {
    const filter = artifactType === undefined ? {} : { artifactType }
    const parameters = { ...filter, n: String(limit), last: next }
    ctx.set('Link', formatNextLink(`/v2/${name}/referrers/${digest}`, parameters))
  }
  if (artifactType !== undefined) ctx.set('OCI-Filters-Applied', 'artifactType')
  ctx.set('Content-Type', ociIndex)
  ctx.body = Buffer.from(`{"schemaVersion":2,"mediaType":"${ociIndex}","manifests":[${items.join(',')}]}`)
}
