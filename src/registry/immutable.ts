/**
 * Tags that are created once. Such a tag is written only where there is none, so of two pushes at once one wins; it is not moved, not deleted, and
 * retention leaves it alone. The operator lifts that by changing the configuration.
 */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { createGlob } from './glob.ts'
import { tagKey } from './layout.ts'
import { readManifest, readTag, type StoredTag } from './lookup.ts'
import { removeTagVersion } from './removal.ts'

/** Which tags are immutable: patterns as in `glob.ts`. */
export interface ImmutableRule {
  readonly repositories: string
  readonly tags: string
}

export interface ImmutableTags {
  /** Whether the repository may have immutable tags at all. */
  covers(repository: RepositoryName): boolean
  /** The rule that makes a tag immutable, in words for its owner; undefined: the tag may move and go. */
  findRule(repository: RepositoryName, tag: Tag): string | undefined
}

/** Compiles rules; `name` is where they are written, for messages. */
export function createImmutableTags(rules: readonly ImmutableRule[], name: string): ImmutableTags {
  const compiled = rules.map(({ repositories, tags }, n) => ({
    coversRepository: createGlob(repositories),
    coversTag: createGlob(tags),
    words: `${name}[${n}]: tags ${tags} of ${repositories}`,
  }))
  return {
    covers: (repository) => compiled.some(({ coversRepository }) => coversRepository(repository)),
    findRule: (repository, tag) =>
      compiled.find(({ coversRepository, coversTag }) => coversRepository(repository) && coversTag(tag))?.words,
  }
}

/** The refusal to move or to delete an immutable tag. */
export function immutable(repository: RepositoryName, tag: Tag, rule: string, digest: Digest): OciError {
  return new OciError(
    'DENIED',
    `the tag ${tag} of ${repository} is immutable and stays ${digest} (rule ${rule}); push under another tag`,
    { detail: { tag, digest, rule } },
  )
}

/** How often a dead tag is removed that somebody writes again and dies. */
const maxAttempts = 10

/**
 * The tag, if its manifest is there. A dead one is removed: nobody can see it, and it stands in the way of a new one. So must a push do before its
 * manifest appears, because then the tag would be alive again while somebody may be about to remove it.
 */
export async function findLiveTag(
  context: Context,
  repository: RepositoryName,
  tag: Tag,
  cancel: Cancel,
): Promise<StoredTag | undefined> {
  for (let i = 0; i < maxAttempts; i++) {
    const named = await readTag(context, repository, tag, cancel)
    if (named === undefined) return undefined
    if ((await readManifest(context, repository, named.digest, cancel)) !== undefined) return named
    await removeTagVersion(context, repository, { ...named, key: tagKey(repository, tag) }, cancel)
  }
  return undefined
}

/** Refuses a push that would move an immutable tag, before it has written anything. */
export async function refuseMoves(
  context: Context,
  { repository, digest, tags }: { repository: RepositoryName; digest: Digest; tags: readonly Tag[] },
  cancel: Cancel,
): Promise<void> {
  for (const tag of tags) {
    const rule = context.immutableTags?.findRule(repository, tag)
    if (rule === undefined) continue
    const named = await findLiveTag(context, repository, tag, cancel)
    if (named !== undefined && named.digest !== digest) throw immutable(repository, tag, rule, named.digest)
  }
}
