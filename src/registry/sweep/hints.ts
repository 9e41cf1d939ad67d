/** Cleans up behind a manifest that may have lost a name: tags that name it although it is gone, marks that mean nothing any more, hints that lead nowhere. */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listAll } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { type Hint, namedPrefix, parseHintKey, parseManifestMark, pushPrefix } from '../layout.ts'
import { isUntaggedKey, untaggedKey } from '../layout-untagged.ts'
import { readManifest, readTag } from '../lookup.ts'
import { findNamingTags } from '../named.ts'
import type { SweepContext } from './context.ts'

/** A tag is read, then its manifest is seen to be absent, then that version is removed: a tag written meanwhile is another version. */
async function removeDeadTags(
  sweep: SweepContext,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<void> {
  for (const { key, version } of await findNamingTags(sweep, repository, digest, cancel)) {
    if ((await readManifest(sweep, repository, digest, cancel)) !== undefined) return
    if (sweep.mode === 'sweep') await sweep.driver.remove(key, { ...cancel, ifUnchanged: version })
    sweep.counts.tags++
  }
}

/**
 * What a hint leads to: `dead` when its push has nothing left, and, read after that, the tag or manifest it means names this one not, or by
 * another push, which wrote a hint of its own.
 */
async function judgeHint(
  sweep: SweepContext,
  repository: RepositoryName,
  digest: Digest,
  hint: Hint,
  cancel: Cancel,
): Promise<'leads' | 'dead' | 'pushing'> {
  const { entries } = await sweep.driver.list(pushPrefix(repository, hint.push), { ...cancel, limit: 1 })
  if (entries.length > 0) return 'pushing'
  if (hint.kind === 'tag') {
    const tag = await readTag(sweep, repository, hint.tag, cancel)
    return tag?.digest === digest && tag.push === hint.push ? 'leads' : 'dead'
  }
  const naming = await readManifest(sweep, repository, hint.digest, cancel)
  return naming?.push === hint.push ? 'leads' : 'dead'
}

/**
 * A manifest that is there has lost a name: retention counts from now on. Where it does not, what was noted before no longer holds. This comes before the
 * hint goes, so a note that is older than a name is always told by the hint.
 */
async function noteLostName(
  { driver, tracksUntagged }: SweepContext,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<void> {
  const key = untaggedKey(repository, digest)
  if (tracksUntagged?.(repository) === true) await driver.write(key, Buffer.alloc(0), cancel)
  else await driver.remove(key, cancel)
}

/** Cleans up behind one manifest, whether it is there or not. `pushing`: a push is under way that may name it, so look again later. */
export async function cleanNames(
  sweep: SweepContext,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<'clean' | 'pushing'> {
  const { driver, counts, mode } = sweep
  await removeDeadTags(sweep, repository, digest, cancel)
  const manifest = await readManifest(sweep, repository, digest, cancel)
  let isPushing = false
  let isNoted = manifest === undefined || mode === 'look'
  for await (const { key } of listAll(driver, namedPrefix(repository, digest), cancel)) {
    const incarnation = parseManifestMark(key)
    if (isUntaggedKey(key)) {
      if (manifest !== undefined) continue
      counts.hints++
    } else if (incarnation === undefined) {
      const hint = parseHintKey(key)
      const state = hint && (await judgeHint(sweep, repository, digest, hint, cancel))
      isPushing ||= state === 'pushing'
      if (state !== 'dead') continue
      counts.hints++
      if (!isNoted && hint?.kind !== 'referrer') {
        await noteLostName(sweep, repository, digest, cancel)
        isNoted = true
      }
    } else {
      if (incarnation === manifest?.push) continue
      counts.marks++
    }
    if (mode === 'sweep') await driver.remove(key, cancel)
  }
  return isPushing ? 'pushing' : 'clean'
}
