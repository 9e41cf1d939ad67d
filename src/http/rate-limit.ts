/** Requests per client address: a bucket of tokens for each, of a bounded number of addresses. */
import type { Middleware } from 'koa'
import { LRUCache } from 'lru-cache'
import { OciError } from '../oci/errors.ts'
import type { Extra, State } from './context.ts'

export interface RateLimits {
  /** Tokens that an address gets back in a second. */
  readonly requestsPerSecond: number
  /** Tokens that it has at most. */
  readonly requestBurst: number
  /** Addresses that are remembered. */
  readonly maxAddresses: number
}

/** What counts as one client: an IPv4 address, or the /64 of an IPv6 address, of which one machine has all. RFC 6177 §2. */
export function clientKey(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - countGroups(tail)
  const whole = [...groups, ...Array.from({ length: missing }, () => '0'), ...(tail ?? '').split(':')]
  return `${whole
    .slice(0, 4)
    .map((group) => Number.parseInt(group || '0', 16).toString(16))
    .join(':')}::/64`
}

/** A dotted end is two groups. */
function countGroups(tail: string): number {
  return tail === '' ? 0 : tail.split(':').length + (tail.includes('.') ? 1 : 0)
}

/** Takes a token of an address; the ms until there is one, 0 when there was. */
export function createRateLimiter(
  { requestsPerSecond, requestBurst, maxAddresses }: RateLimits,
  monotonicMs: () => number,
): (address: string) => number {
  const buckets = new LRUCache<string, { tokens: number; atMs: number }>({ max: maxAddresses })
  const perMs = requestsPerSecond / 1000
  return (address) => {
    const key = clientKey(address)
    const now = monotonicMs()
    let bucket = buckets.get(key)
    if (bucket === undefined) buckets.set(key, (bucket = { tokens: requestBurst, atMs: now }))
    bucket.tokens = Math.min(requestBurst, bucket.tokens + (now - bucket.atMs) * perMs)
    bucket.atMs = now
    if (bucket.tokens < 1) return (1 - bucket.tokens) / perMs
    bucket.tokens--
    return 0
  }
}

/** Refuses requests beyond the limit with 429 and when to come again. RFC 6585 §4. */
export function limitRate(limits: RateLimits, monotonicMs: () => number): Middleware<State, Extra> {
  const take = createRateLimiter(limits, monotonicMs)
  return (ctx, next) => {
    const waitMs = take(ctx.state.address ?? '')
    if (waitMs === 0) return next()
    ctx.state.route = 'limited'
    throw new OciError('TOOMANYREQUESTS', 'this address sends more requests than it may', {
      headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) },
    })
  }
}
