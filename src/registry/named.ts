/**
 * Who names a manifest: hints and marks below `named/`. A hint is written before what it leads to, so it may lead to nothing; whoever follows
 * it looks. Marks mean one incarnation of the manifest: the push that wrote it.
 */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import { listAll, listPages } from '../storage/list-all.ts'
import type { Cancel, ListEntry } from '../storage/driver.ts'
import type { Context } from './context.ts'
import {
  hintsAfter,
  manifestHintKey,
  manifestKey,
  manifestMarksStart,
  namedPrefix,
  parseHintKey,
  pushPrefix,
  tagHintKey,
  tagKey,
} from './layout.ts'
import { judgeMarks, type Look } from './marks.ts'
import { decodeTag } from './records.ts'

/** How the marks on one incarnation of a manifest count now. */
export async function lookAtManifestMarks(
  { driver, limits }: Context,
  repository: RepositoryName,
  digest: Digest,
  incarnation: string,
  cancel: Cancel,
): Promise<Look> {
  const after = manifestMarksStart(repository, digest, incarnation)
  const marks: ListEntry[] = []
  for await (const page of listPages(driver, namedPrefix(repository, digest), {
    ...cancel,
    after,
    times: true,
    pageSize: 16,
  })) {
    const ours = page.entries.filter(({ key }) => key.startsWith(after))
    marks.push(...ours)
    if (ours.length < page.entries.length || !page.more)
      return { marks: judgeMarks(marks, page.now, limits.freshMarkMs) }
  }
  return { marks: 'none' }
}

/** What a push will make, as far as others must be able to find it. */
export interface Naming {
  readonly digest: Digest
  readonly tags: readonly Tag[]
  /** Entries of an index. */
  readonly manifests: readonly Digest[]
  readonly subject?: Digest | undefined
}

/** The keys of all hints that a push writes. */
export function hintKeys(repository: RepositoryName, naming: Naming, push: string): readonly string[] {
  const { digest, tags, manifests, subject } = naming
  return [
    ...tags.map((tag) => tagHintKey(repository, digest, tag, push)),
    ...manifests.map((entry) => manifestHintKey(repository, entry, 'index', digest, push)),
    ...(subject === undefined ? [] : [manifestHintKey(repository, subject, 'referrer', digest, push)]),
  ]
}

/** An index that names a manifest: it is there, or it is not and its push has not ended. */
export interface NamingIndex {
  readonly digest: Digest
  readonly state: 'there' | 'in a push'
}

/** An index that names this manifest, rather one that is there. For each hint the push is looked at before the manifest: one becomes the other. */
export async function findNamingIndex(
  { driver }: Context,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<NamingIndex | undefined> {
  const after = hintsAfter(repository, digest, 'index')
  let inPush: NamingIndex | undefined
  for await (const { key } of listAll(driver, namedPrefix(repository, digest), { ...cancel, after })) {
    const hint = parseHintKey(key)
    if (hint?.kind !== 'index') break
    const { entries } = await driver.list(pushPrefix(repository, hint.push), { ...cancel, limit: 1 })
    const isThere = (await driver.stat(manifestKey(repository, hint.digest), cancel)) !== undefined
    if (isThere) return { digest: hint.digest, state: 'there' }
    if (entries.length > 0) inPush = { digest: hint.digest, state: 'in a push' }
  }
  return inPush
}

/**
 * A tag of those meant that names a manifest, or that a push in flight may write. For each hint the push is looked at before the tag: one becomes
 * the other.
 */
export async function findNamingTag(
  { driver }: Context,
  repository: RepositoryName,
  digest: Digest,
  isMeant: (tag: Tag) => boolean,
  cancel: Cancel,
): Promise<Tag | undefined> {
  const after = hintsAfter(repository, digest, 'tag')
  for await (const { key } of listAll(driver, namedPrefix(repository, digest), { ...cancel, after })) {
    const hint = parseHintKey(key)
    if (hint?.kind !== 'tag' || !isMeant(hint.tag)) continue
    const { entries } = await driver.list(pushPrefix(repository, hint.push), { ...cancel, limit: 1 })
    if (entries.length > 0) return hint.tag
    const stored = await driver.read(tagKey(repository, hint.tag), cancel)
    if (stored !== undefined && decodeTag(stored.bytes).digest === digest) return hint.tag
  }
  return undefined
}

/** A tag that names a manifest at this moment, by its key. */
export interface NamingTag {
  readonly key: string
  readonly version: string
}

export interface FoundTag extends NamingTag {
  /** When it was written, by the store's clock, in ms. */
  readonly modified: number
}

/** The tags that name a manifest, found by its hints. */
export async function findNamingTags(
  { driver }: Context,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<readonly FoundTag[]> {
  const found = new Map<string, FoundTag>()
  const after = hintsAfter(repository, digest, 'tag')
  for await (const { key: hintKey } of listAll(driver, namedPrefix(repository, digest), { ...cancel, after })) {
    const hint = parseHintKey(hintKey)
    if (hint?.kind !== 'tag') continue
    const key = tagKey(repository, hint.tag)
    if (found.has(key)) continue
    const stored = await driver.read(key, cancel)
    if (stored === undefined || decodeTag(stored.bytes).digest !== digest) continue
    found.set(key, { key, version: stored.version, modified: stored.modified })
  }
  return [...found.values()]
}
