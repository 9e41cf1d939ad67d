/** The list of repositories. Not in the specification; as Docker's registry has it: `/v2/_catalog`. */
import { parseName } from '../../oci/name.ts'
import type { HttpContext, Services, Target } from '../context.ts'
import { sendJson } from '../json.ts'
import { formatNextLink, readPage } from '../pagination.ts'

export async function listRepositories(ctx: HttpContext, _target: Target, services: Services): Promise<void> {
  const { registry, limits } = services
  const { limit, last } = readPage(ctx, { standard: limits.pageSize, max: limits.maxPageSize }, parseName)
  const page = limit === 0 ? { items: [] } : await registry.catalog.list({ limit, last })
  if ('next' in page && page.next !== undefined) {
    ctx.set('Link', formatNextLink('/v2/_catalog', { n: String(limit), last: page.next }))
  }
  sendJson(ctx, { repositories: page.items })
}
