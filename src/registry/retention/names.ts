/**
 * The manifests of a repository, each with what the keys beside it tell: two ordered listings side by side, so that a repository with a million manifests
 * costs a few thousand calls and no memory.
 */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listAll, listPages } from '../../storage/list-all.ts'
import type { Cancel, Driver, ListEntry } from '../../storage/driver.ts'
import { type Hint, manifestsPrefix, namedPrefix, parseHintKey, parseManifestKey } from '../layout.ts'
import { isUntaggedKey, parseNamedKey, repositoryNamedPrefix } from '../layout-untagged.ts'

/** What the keys beside a manifest tell at a moment. */
export interface Names {
  /** The newest hints of a tag and of an index: the likeliest to lead. */
  readonly tag?: Hint | undefined
  readonly index?: Hint | undefined
  /** When the last hint of a tag or an index was written; 0 for never. */
  readonly namedAt: number
  /** When it was noted that the manifest has lost a name or has none; 0 for never. */
  readonly notedAt: number
}

/** Since when nothing names the manifest, if nothing does; undefined when that was not noted since it was named last. */
export function untaggedSince({ namedAt, notedAt }: Names): number | undefined {
  return notedAt > namedAt ? notedAt : undefined
}

function createCollector() {
  const times = { tag: 0, index: 0 }
  const names: { -readonly [Key in keyof Names]: Names[Key] } = { namedAt: 0, notedAt: 0 }
  return {
    names,
    add: ({ key, modified = 0 }: ListEntry): void => {
      if (isUntaggedKey(key)) names.notedAt = modified
      const hint = parseHintKey(key)
      if (hint === undefined || hint.kind === 'referrer') return
      names.namedAt = Math.max(names.namedAt, modified)
      if (modified < times[hint.kind]) return
      times[hint.kind] = modified
      names[hint.kind] = hint
    },
  }
}

/** Looks at one manifest's keys as they are now. */
export async function readNames(
  driver: Driver,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<Names> {
  const { names, add } = createCollector()
  for await (const entry of listAll(driver, namedPrefix(repository, digest), { ...cancel, times: true })) add(entry)
  return names
}

/** One page of manifests in the order of their digests, and the store's time. */
export interface NamedPage {
  readonly manifests: readonly { readonly digest: Digest; readonly names: Names }[]
  readonly now: number
}

export async function* listNamed(
  driver: Driver,
  repository: RepositoryName,
  cancel: Cancel,
): AsyncGenerator<NamedPage> {
  const options = { ...cancel, times: true }
  const beside = listAll(driver, repositoryNamedPrefix(repository), options)
  try {
    let next = await beside.next()
    for await (const page of listPages(driver, manifestsPrefix(repository), options)) {
      const manifests = []
      for (const { key } of page.entries) {
        const digest = parseManifestKey(key)
        const { names, add } = createCollector()
        for (; next.done !== true && parseNamedKey(next.value.key) <= digest; next = await beside.next()) {
          if (parseNamedKey(next.value.key) === digest) add(next.value)
        }
        manifests.push({ digest, names })
      }
      yield { manifests, now: page.now }
    }
  } finally {
    await beside.return(undefined)
  }
}
