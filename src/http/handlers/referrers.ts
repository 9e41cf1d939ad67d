/** What refers to a manifest. distribution-spec v1.1.1, end-12a and end-12b. */
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest.ts'
import { parseDigest } from '../../oci/digest.ts'
import { ociIndex } from '../../oci/media-types.ts'
import type { Page } from '../../registry/registry.ts'
import type { HttpContext, Services } from '../context.ts'
import { sendJson } from '../json.ts'
import { formatNextLink, readPage } from '../pagination.ts'
import { queryValue } from '../query.ts'
import type { BlobTarget } from './blobs.ts'

/** Cuts a page where its descriptors would pass `maxBytes` (at least one stays): clients stop reading an index at 4 MiB. */
export function cutPage(page: Page<Descriptor, Digest>, maxBytes: number): Page<Descriptor, Digest> {
  let bytes = 0
  for (const [i, item] of page.items.entries()) {
    bytes += Buffer.byteLength(JSON.stringify(item)) + 1
    if (bytes > maxBytes && i > 0) return { items: page.items.slice(0, i), next: page.items[i - 1]?.digest }
  }
  return page
}

export async function listReferrers(ctx: HttpContext, { name, digest }: BlobTarget, services: Services): Promise<void> {
  const { registry, limits } = services
  const size = limits.referrersPageSize
  const { limit, last } = readPage(ctx, { standard: size, max: size }, parseDigest)
  // Many clients leave the `+` of a media type unescaped, which is a space in a query; a media type has no spaces.
  const artifactType = queryValue(ctx, 'artifactType')?.replaceAll(' ', '+') || undefined
  const page: Page<Descriptor, Digest> =
    limit === 0
      ? { items: [] }
      : cutPage(await registry.referrers.list(name, digest, { limit, last, artifactType }), limits.referrersPageBytes)
  if (page.next !== undefined) {
    const filter = artifactType === undefined ? {} : { artifactType }
    const parameters = { ...filter, n: String(limit), last: page.next }
    ctx.set('Link', formatNextLink(`/v2/${name}/referrers/${digest}`, parameters))
  }
  if (artifactType !== undefined) ctx.set('OCI-Filters-Applied', 'artifactType')
  sendJson(ctx, { schemaVersion: 2, mediaType: ociIndex, manifests: page.items }, ociIndex)
}
