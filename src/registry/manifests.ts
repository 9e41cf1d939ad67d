/** Manifests of a repository: GET and HEAD, DELETE. Pushing is in `push.ts`. Protocol: DESIGN section 4, "DELETE manifest". */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { Reference, RepositoryName, Tag } from '../oci/name.ts'
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { noteGarbage } from './garbage.ts'
import { manifestKey, manifestMarkKey, tagKey } from './layout.ts'
import { readManifest, readTag, type StoredManifest } from './lookup.ts'
import { findNamingIndex, findNamingTags } from './named.ts'
import { putManifest } from './push.ts'
import type { Manifest, Manifests } from './registry.ts'

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
  let missed: string | undefined
  for (let i = 0; i < maxAttempts; i++) {
    const named = await readTag(context, repository, tag, cancel)
    if (named === undefined || named.version === missed) return undefined
    const manifest = await readManifest(context, repository, named.digest, cancel)
    if (manifest !== undefined) return manifest
    missed = named.version
  }
  throw busy()
}

async function removeTag(context: Context, repository: RepositoryName, tag: Tag, cancel: Cancel): Promise<void> {
  const key = tagKey(repository, tag)
  for (let i = 0; i < maxAttempts; i++) {
    const named = await readTag(context, repository, tag, cancel)
    if (named === undefined) throw unknown({ kind: 'tag', tag })
    const { digest, version } = named
    await noteGarbage(context, { repository, manifests: [digest], until: { kind: 'tag', key, digest } }, cancel)
    const outcome = await context.driver.remove(key, { ...cancel, ifUnchanged: version })
    if (outcome === 'removed') return
    if (outcome === 'absent') throw unknown({ kind: 'tag', tag })
  }
  throw busy()
}

async function refuseWhileNamed(
  context: Context,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<void> {
  const index = await findNamingIndex(context, repository, digest, cancel)
  if (index === undefined) return
  throw new OciError('UNSUPPORTED', `the index ${index} names this manifest; delete the index first`, {
    detail: { index },
    headers: { Allow: 'GET, HEAD, PUT' },
  })
}

/** What the sweep has to look at once this manifest is gone. */
async function noteLostManifest(
  context: Context,
  repository: RepositoryName,
  manifest: StoredManifest,
  cancel: Cancel,
): Promise<void> {
  const { digest, push, mediaType, bytes } = manifest
  const limits = { maxDepth: Number.POSITIVE_INFINITY, maxReferences: Number.POSITIVE_INFINITY }
  const { blobs, manifests, subject } = parseManifest(bytes, mediaType, limits)
  const named = [digest, ...manifests, ...(subject === undefined ? [] : [subject])]
  const until = { kind: 'manifest', digest, push } as const
  await noteGarbage(context, { digests: blobs, repository, manifests: named, until }, cancel)
}

/** One attempt; the removal of the manifest is the whole DELETE, all its tags are dead at once. */
async function removeIncarnation(
  context: Context,
  repository: RepositoryName,
  manifest: StoredManifest,
  cancel: Cancel,
): Promise<'removed' | 'absent' | 'changed'> {
  const { driver, createId } = context
  const { digest, push, version } = manifest
  const mark = manifestMarkKey(repository, digest, push, createId())
  await driver.write(mark, Buffer.alloc(0), { ...cancel, reserve: true })
  try {
    await refuseWhileNamed(context, repository, digest, cancel)
    await noteLostManifest(context, repository, manifest, cancel)
    const before = await findNamingTags(context, repository, digest, cancel)
    const outcome = await driver.remove(manifestKey(repository, digest), { ...cancel, ifUnchanged: version })
    if (outcome === 'removed') await removeDeadTags(context, repository, digest, before, cancel)
    return outcome
  } finally {
    // Our own mark goes with us, whatever came: it is nobody else's to remove.
    await driver.remove(mark)
  }
}

/** Tags of a manifest that is gone: those seen before, then those that still name it while it is absent. */
async function removeDeadTags(
  context: Context,
  repository: RepositoryName,
  digest: Digest,
  before: Awaited<ReturnType<typeof findNamingTags>>,
  cancel: Cancel,
): Promise<void> {
  const { driver } = context
  for (const { key, version } of before) await driver.remove(key, { ...cancel, ifUnchanged: version })
  for (const { key, version } of await findNamingTags(context, repository, digest, cancel)) {
    if ((await readManifest(context, repository, digest, cancel)) !== undefined) return
    await driver.remove(key, { ...cancel, ifUnchanged: version })
  }
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
    await refuseWhileNamed(context, repository, digest, cancel)
    const outcome = await removeIncarnation(context, repository, manifest, cancel)
    if (outcome === 'removed') return
    if (outcome === 'absent') throw unknown({ kind: 'digest', digest })
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
