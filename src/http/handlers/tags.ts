/** The tag list. distribution-spec v1.1.1, end-8a and end-8b. */
import { parseTag } from '../../oci/name.ts'
import type { HttpContext, Services } from '../context.ts'
import { sendJson } from '../json.ts'
import { formatNextLink, readPage } from '../pagination.ts'
import type { RepositoryTarget } from './uploads.ts'

export async function listTags(ctx: HttpContext, { name }: RepositoryTarget, services: Services): Promise<void> {
  const { registry, limits } = services
  const { limit, last } = readPage(ctx, { standard: limits.pageSize, max: limits.maxPageSize }, parseTag)
  // `n=0` shows nothing and leads nowhere, but an unknown repository is unknown all the same.
  const page = await registry.tags.list(name, { limit: Math.max(limit, 1), last })
  if (limit > 0 && page.next !== undefined) {
    ctx.set('Link', formatNextLink(`/v2/${name}/tags/list`, { n: String(limit), last: page.next }))
  }
  sendJson(ctx, { name, tags: limit === 0 ? [] : page.items })
}
