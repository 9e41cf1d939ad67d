/** Pages of a list: `n`, `last` and the `Link` to the next page. distribution-spec v1.1.1, end-8b; RFC 8288. */
import { OciError } from '../oci/errors.ts'
import type { HttpContext } from './context.ts'
import { queryValue } from './query.ts'

/**
 * How many entries one page shows. `n` over `max` is capped, not refused: the client goes on by the `Link`. Throws
 * PAGINATION_NUMBER_INVALID when it is not a whole number.
 */
export function parsePageSize(
  n: string | undefined,
  limits: { readonly standard: number; readonly max: number },
): number {
  if (n === undefined) return Math.min(limits.standard, limits.max)
  if (!/^\d+$/.test(n)) {
    throw new OciError('PAGINATION_NUMBER_INVALID', 'n must be a whole number of entries, 0 or more', {
      detail: { n: n.slice(0, 100) },
    })
  }
  return Math.min(Number(n), limits.max)
}

/** `n` and `last` of a request; an empty `last` is none. */
export function readPage<Position>(
  ctx: HttpContext,
  limits: { readonly standard: number; readonly max: number },
  parse: (last: string) => Position,
): { readonly limit: number; readonly last?: Position } {
  const limit = parsePageSize(queryValue(ctx, 'n'), limits)
  const last = queryValue(ctx, 'last')
  return last === undefined || last === '' ? { limit } : { limit, last: parse(last) }
}

/** The value of `Link` that leads to the page behind `last`: relative, so that it works behind every proxy. */
export function formatNextLink(path: string, parameters: Readonly<Record<string, string>>): string {
  return `<${path}?${new URLSearchParams(parameters).toString()}>; rel="next"`
}
