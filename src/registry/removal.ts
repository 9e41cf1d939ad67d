/**
 * Takes a manifest or a tag out of a repository: what a client's DELETE and retention have in common. They differ in who may keep a manifest. Protocol:
 * DESIGN section 4, "DELETE manifest".
 */
import type { Digest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { noteAndDo, type WaitingGarbage } from './garbage.ts'
import { manifestKey, manifestMarkKey } from './layout.ts'
import { readManifest, type StoredManifest } from './lookup.ts'
import { findNamingTags, type NamingTag } from './named.ts'

/** How a removal ended: `kept` by what the look found, `changed` by somebody who pushed the manifest again meanwhile. */
export type Removal<Keeper> =
  | { readonly outcome: 'removed' | 'absent' | 'changed' }
  | { readonly outcome: 'kept'; readonly keeper: Keeper }

/** What the sweep has to look at once this manifest is gone. */
function garbageOf(repository: RepositoryName, { digest, push, mediaType, bytes }: StoredManifest): WaitingGarbage {
  const limits = { maxDepth: Number.POSITIVE_INFINITY, maxReferences: Number.POSITIVE_INFINITY }
  const { blobs, manifests, subject } = parseManifest(bytes, mediaType, limits)
  const named = [digest, ...manifests, ...(subject === undefined ? [] : [subject])]
  const until = { kind: 'manifest', digest, push } as const
  return { digests: blobs, repository, manifests: named, until }
}

/** Tags of a manifest that is gone: those seen before, then those that still name it while it is absent. */
async function removeDeadTags(
  context: Context,
  repository: RepositoryName,
  digest: Digest,
  before: readonly NamingTag[],
  cancel: Cancel,
): Promise<void> {
  const { driver } = context
  for (const { key, version } of before) await driver.remove(key, { ...cancel, ifUnchanged: version })
  for (const { key, version } of await findNamingTags(context, repository, digest, cancel)) {
    if ((await readManifest(context, repository, digest, cancel)) !== undefined) return
    await driver.remove(key, { ...cancel, ifUnchanged: version })
  }
}

/**
 * One attempt at the removal of a manifest with all its tags: look, mark, look again, remove if unchanged. `findKeeper` is the look: whatever it finds
 * keeps the manifest. Whoever begins to rely on the manifest writes first and then looks for marks, so one of the two looks finds him or he finds the mark.
 */
export async function removeUnlessKept<Keeper>(
  context: Context,
  repository: RepositoryName,
  manifest: StoredManifest,
  findKeeper: () => Promise<Keeper | undefined>,
  cancel: Cancel,
): Promise<Removal<Keeper>> {
  const { driver, createId } = context
  const { digest, push, version } = manifest
  const first = await findKeeper()
  if (first !== undefined) return { outcome: 'kept', keeper: first }
  const mark = manifestMarkKey(repository, digest, push, createId())
  await driver.write(mark, Buffer.alloc(0), { ...cancel, reserve: true })
  try {
    const second = await findKeeper()
    if (second !== undefined) return { outcome: 'kept', keeper: second }
    return await noteAndDo(context, garbageOf(repository, manifest), cancel, async () => {
      const before = await findNamingTags(context, repository, digest, cancel)
      // This is the removal: all tags of the manifest are dead at once.
      const outcome = await driver.remove(manifestKey(repository, digest), { ...cancel, ifUnchanged: version })
      if (outcome === 'removed') await removeDeadTags(context, repository, digest, before, cancel)
      return { outcome }
    })
  } finally {
    // Our own mark goes with us, whatever came: it is nobody else's to remove.
    await driver.remove(mark)
  }
}

/** Removes a tag as it was read; what it named may have lost its last use. */
export async function removeTagVersion(
  context: Context,
  repository: RepositoryName,
  { key, digest, version }: NamingTag & { readonly digest: Digest },
  cancel: Cancel,
): Promise<'removed' | 'absent' | 'changed'> {
  const garbage = { repository, manifests: [digest], until: { kind: 'tag', key, digest } } as const
  return noteAndDo(context, garbage, cancel, () => context.driver.remove(key, { ...cancel, ifUnchanged: version }))
}
