/** Conditional requests: the entity tag of content is its digest. RFC 9110 §8.8.3, §13. */
import { OciError } from '../oci/errors.ts'
import type { Digest } from '../oci/digest.ts'

/** The entity tag: content never changes under its digest, so it is a strong one. */
export function entityTagOf(digest: Digest): string {
  return `"${digest}"`
}

/** Whether a list of entity tags, or `*`, names this one. Weak tags count only in the weak comparison. RFC 9110 §8.8.3.2. */
function namesTag(list: string, tag: string, comparison: 'weak' | 'strong'): boolean {
  // The common case, and the only one of clients that repeat what we told them.
  if (list === tag) return true
  return list.split(',').some((each) => {
    const candidate = each.trim()
    if (candidate === '*' || candidate === tag) return true
    return comparison === 'weak' && candidate.startsWith('W/') && candidate.slice(2) === tag
  })
}

interface ConditionHeaders {
  readonly 'if-match'?: string | undefined
  readonly 'if-none-match'?: string | undefined
}

/**
 * Whether the client has this content already, so that the answer to its GET or HEAD is 304. Throws PRECONDITION_FAILED when it wants
 * other content only (`If-Match`). Dates are ignored: nothing here has one. RFC 9110 §13.2.2.
 */
export function isNotModified(headers: ConditionHeaders, digest: Digest): boolean {
  const tag = entityTagOf(digest)
  const match = headers['if-match']
  if (match !== undefined && !namesTag(match, tag, 'strong')) {
    throw new OciError('PRECONDITION_FAILED', `If-Match does not name ${tag}`)
  }
  const noneMatch = headers['if-none-match']
  return noneMatch !== undefined && namesTag(noneMatch, tag, 'weak')
}

/** Whether `If-Range` lets a range be answered; otherwise the whole content is. A date never matches. RFC 9110 §13.1.5. */
export function allowsRange(ifRange: string | undefined, digest: Digest): boolean {
  return ifRange === undefined || ifRange.trim() === entityTagOf(digest)
}
