/** The tag list of a repository: one ordered listing. A tag whose manifest was just deleted may still show; GET and HEAD of it say 404. */
import { OciError } from '../oci/errors.ts'
import type { Context } from './context.ts'
import { manifestsPrefix, parseTagKey, tagKey, tagsPrefix } from './layout.ts'
import type { Tags } from './registry.ts'

/** The tags of the local registry. */
export function createTags({ driver }: Context): Tags {
  return {
    async list(repository, { limit, last }, cancel = {}) {
      const after = last === undefined ? {} : { after: tagKey(repository, last) }
      const page = await driver.list(tagsPrefix(repository), { ...cancel, ...after, limit })
      const items = page.entries.map(({ key }) => parseTagKey(key))
      if (items.length === 0) {
        const { entries } = await driver.list(manifestsPrefix(repository), { ...cancel, limit: 1 })
        if (entries.length === 0) {
          throw new OciError('NAME_UNKNOWN', 'there is no such repository', { detail: { name: repository } })
        }
      }
      return { items, next: page.more ? items.at(-1) : undefined }
    },
  }
}
