/** Manifests of a repository: GET and HEAD, DELETE. Pushing is in `push.ts`. Protocol: DESIGN section 4, "DELETE manifest". */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { Reference, RepositoryName, Tag } from '../oci/name.ts'
import type { Cancel } from '../storage/driver.ts'
import { lookAhead } from './ahead.ts'
import type { Context } from './context.ts'
import { findLiveTag, immutable } from './immutable.ts'
import { tagKey } from './layout.ts'
import { readManifest, readTag, type StoredManifest, type StoredTag } from './lookup.ts'
import { findNamingIndex, findNamingTag, type NamingIndex } from './named.ts'
import { putManifest } from './push.ts'
import type { Manifest, Manifests } from './registry.ts'
import { removeTagVersion, removeUnlessKept } from './removal.ts'
import { describeSetting } from './span.ts'

/** How often a request starts again because somebody else changed what it works on. */
const maxAttempts = 10

function unknown(reference: Reference): OciError {
  const detail = reference.kind === 'tag' ? { tag: reference.tag } : { digest: reference.digest }
  return new OciError('MANIFEST_UNKNOWN', 'the repository has no such manifest', { detail })
}

function busy(): OciError {
  return new OciError('UNAVAILABLE', 'others kept changing the same manifest or tag meanwhile; try again')
}

/** A tag counts only if its manifest is read; one that moved while its old manifest was deleted is followed. */
async function readByTag(
  context: Context,
  repository: RepositoryName,
  tag: Tag,
  cancel: Cancel,
): Promise<Manifest | undefined> {
  const look = ({ digest }: StoredTag, how: Cancel): Promise<StoredManifest | undefined> =>
    readManifest(context, repository, digest, how)
  const recall = (): StoredTag | undefined => context.kept?.tags.get(tagKey(repository, tag))
  using ahead = lookAhead(context.driver, { ...cancel, recall, look })
  let missed: string | undefined
  for (let i = 0; i < maxAttempts; i++) {
    const named = await readTag(context, repository, tag, cancel)
    if (named === undefined || named.version === missed) return undefined
    const manifest = await ahead.resolve(named)
    if (manifest !== undefined) return manifest
    missed = named.version
  }
  throw busy()
}

async function removeTag(context: Context, repository: RepositoryName, tag: Tag, cancel: Cancel): Promise<void> {
  const rule = context.immutableTags?.findRule(repository, tag)
  const read = rule === undefined ? readTag : findLiveTag
  for (let i = 0; i < maxAttempts; i++) {
    const named = await read(context, repository, tag, cancel)
    if (named === undefined) throw unknown({ kind: 'tag', tag })
    if (rule !== undefined) throw immutable(repository, tag, rule, named.digest)
    const outcome = await removeTagVersion(context, repository, { ...named, key: tagKey(repository, tag) }, cancel)
    if (outcome === 'removed') return
    if (outcome === 'absent') throw unknown({ kind: 'tag', tag })
  }
  throw busy()
}

/** 405 for a push in flight, too: clients repeat what a 503 refused, and when the push has ended well, its index must go first. */
function namedByIndex({ limits }: Context, { digest, state }: NamingIndex): OciError {
  const message =
    state === 'there'
      ? `the index ${digest} names this manifest; delete the index first`
      : `the index ${digest} names this manifest and is being pushed; try again when that push has ended: the sweep forgets one that was broken off after ${describeSetting(limits.pushIdleMs)}`
  return new OciError('UNSUPPORTED', message, { detail: { index: digest }, headers: { Allow: 'GET, HEAD, PUT' } })
}

/** Why a client may not delete a manifest: an index needs it, or a tag that must not go would go with it. */
async function findRefusal(
  context: Context,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<OciError | undefined> {
  const index = await findNamingIndex(context, repository, digest, cancel)
  if (index !== undefined) return namedByIndex(context, index)
  const { immutableTags } = context
  if (immutableTags?.covers(repository) !== true) return undefined
  const isImmutable = (tag: Tag): boolean => immutableTags.findRule(repository, tag) !== undefined
  const tag = await findNamingTag(context, repository, digest, isImmutable, cancel)
  const rule = tag && immutableTags.findRule(repository, tag)
  return tag && rule !== undefined ? immutable(repository, tag, rule, digest) : undefined
}

async function removeManifest(
  context: Context,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<void> {
  for (let i = 0; i < maxAttempts; i++) {
    const manifest = await readManifest(context, repository, digest, cancel)
    if (manifest === undefined) throw unknown({ kind: 'digest', digest })
    const find = (): Promise<OciError | undefined> => findRefusal(context, repository, digest, cancel)
    const removal = await removeUnlessKept(context, repository, manifest, find, cancel)
    if (removal.outcome === 'kept') throw removal.keeper
    if (removal.outcome === 'removed') return
    if (removal.outcome === 'absent') throw unknown({ kind: 'digest', digest })
  }
  throw busy()
}

/** The manifests of the local registry. */
export function createManifests(context: Context): Manifests {
  return {
    async get(repository, reference, cancel = {}) {
      const manifest = await (reference.kind === 'tag'
        ? readByTag(context, repository, reference.tag, cancel)
        : readManifest(context, repository, reference.digest, cancel))
      if (manifest === undefined) throw unknown(reference)
      return manifest
    },

    put: (repository, push, cancel = {}) => putManifest(context, repository, push, cancel),

    remove: (repository, reference, cancel = {}) =>
      reference.kind === 'tag'
        ? removeTag(context, repository, reference.tag, cancel)
        : removeManifest(context, repository, reference.digest, cancel),
  }
}
