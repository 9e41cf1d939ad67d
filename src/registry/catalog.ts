/** The catalog: repositories that hold a manifest, from one ordered listing; no marker has to be kept right. */
import type { Context } from './context.ts'
import { catalogPrefix, manifestsPrefix, parseCatalogEntry } from './layout.ts'
import type { Catalog } from './registry.ts'

/** The catalog of the local registry. */
export function createCatalog({ driver }: Context): Catalog {
  return {
    async list({ limit, last }, cancel = {}) {
      const after = last === undefined ? {} : { after: manifestsPrefix(last) }
      const page = await driver.list(catalogPrefix, { ...cancel, ...after, delimiter: '/', limit })
      const items = page.entries.map(({ key }) => parseCatalogEntry(key))
      return { items, next: page.more ? items.at(-1) : undefined }
    },
  }
}
