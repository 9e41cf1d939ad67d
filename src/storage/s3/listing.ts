/** Lists of keys, as the driver promises them: any `after`, any limit. Stores agree only on flat lists, and on folded ones that begin between two folds. */
import type { ListEntry, Listing, ListOptions } from '../driver.ts'
import { lastSkipped } from '../keys.ts'
import type { Listed } from './bucket.ts'
import type { S3Store } from './store.ts'

/** The most that a store gives in one answer. */
const maxPage = 1000

export async function listKeys(store: S3Store, prefix: string, options: ListOptions): Promise<Listing> {
  const { after, delimiter, limit } = options
  const fold = delimiter === undefined ? undefined : foldWithin(prefix, after)
  const from = lastSkipped(prefix, after)
  if (fold === undefined) return listFrom(store, prefix, options, from)
  // Whether a fold in which the list begins is listed, stores see differently: it is, if a key in it is behind.
  const { signal } = options
  const inside = await listPage(store, fold, { limit: 1, signal }, from)
  const rest = await listFrom(store, prefix, options, lastSkipped(prefix, fold))
  if (inside.objects.length === 0) return rest
  const entries = [{ key: fold }, ...rest.entries]
  return { entries: entries.slice(0, limit), more: rest.more || entries.length > limit, now: rest.now }
}

/** The fold that `after` is a key in; a folded `after` is behind its fold. */
function foldWithin(prefix: string, after: string | undefined): string | undefined {
  if (after === undefined || !after.startsWith(prefix)) return undefined
  const slash = after.indexOf('/', prefix.length)
  return slash < 0 || slash === after.length - 1 ? undefined : after.slice(0, slash + 1)
}

async function listFrom(store: S3Store, prefix: string, options: ListOptions, from: string): Promise<Listing> {
  const entries: ListEntry[] = []
  let token: string | undefined
  for (;;) {
    const page = await listPage(store, prefix, { ...options, limit: options.limit + 1 - entries.length }, from, token)
    entries.push(...merge(store, page, options))
    token = page.next
    if (token !== undefined && entries.length <= options.limit) continue
    return { entries: entries.slice(0, options.limit), more: entries.length > options.limit, now: page.now }
  }
}

function listPage(
  { bucket, retry, objectOf }: S3Store,
  prefix: string,
  { delimiter, limit, signal }: ListOptions,
  from: string,
  token?: string,
): Promise<Listed> {
  const query = {
    prefix: objectOf(prefix),
    // Nothing of the prefix sorts before it; with a token the store knows where it was.
    after: token === undefined && from > prefix ? objectOf(from) : undefined,
    delimiter,
    limit: Math.min(limit, maxPage),
    token,
    signal,
  }
  return retry(() => bucket.list(query), { signal })
}

/** Stores give keys and folds apart, each in order. */
function merge({ keyOf }: S3Store, { objects, prefixes }: Listed, { times }: ListOptions): ListEntry[] {
  const folds = prefixes.map((prefix) => ({ key: keyOf(prefix) }))
  const keys = objects.map(({ key, size, modified }) =>
    times === true ? { key: keyOf(key), modified, size } : { key: keyOf(key) },
  )
  if (folds.length === 0) return keys
  return [...folds, ...keys].sort((a, b) => (a.key < b.key ? -1 : 1))
}
