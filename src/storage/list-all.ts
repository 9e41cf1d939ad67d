/** Paging through a list, so that no caller handles pages by hand. */
import type { Driver, ListEntry, Listing, ListOptions } from './driver.ts'

/** What a complete list can be asked; `pageSize` is the most entries of one call to the store. */
export type ListAllOptions = Omit<ListOptions, 'limit'> & { readonly pageSize?: number }

/** The most entries S3 gives in one answer. */
const defaultPageSize = 1000

/** Yields the pages of a list in order, to the end. For callers that need each page's `now`. */
export async function* listPages(
  driver: Driver,
  prefix: string,
  options: ListAllOptions = {},
): AsyncGenerator<Listing> {
  const { pageSize = defaultPageSize, ...rest } = options
  let page = await driver.list(prefix, { ...rest, limit: pageSize })
  for (;;) {
    yield page
    const last = page.entries.at(-1)
    if (!page.more || last === undefined) return
    page = await driver.list(prefix, { ...rest, limit: pageSize, after: last.key })
  }
}

/** Yields the entries of a list in order, to the end. Keys that appear or vanish meanwhile may or may not be among them. */
export async function* listAll(
  driver: Driver,
  prefix: string,
  options: ListAllOptions = {},
): AsyncGenerator<ListEntry> {
  for await (const page of listPages(driver, prefix, options)) yield* page.entries
}
