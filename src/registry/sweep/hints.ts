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

/**
 * A tag is read, then its manifest is seen to be absent, then that version is removed: a tag written meanwhile is another version. Where the store looks
 * before it removes, somebody may move the tag in between: there only tags go that nobody has moved for a lease. Returns how many dead ones were left.
 */
async function removeDeadTags(
  sweep: SweepContext,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<number> {
  const { driver, counts, mode } = sweep
  let left = 0
  for (const { key, version, modified } of await findNamingTags(sweep, repository, digest, cancel)) {
    if ((await readManifest(sweep, repository, digest, cancel)) !== undefined) return 0
    if (driver.removal === 'looks first' && (await isYoung(sweep, key, modified, cancel))) {
      left++
      continue
    }
    if (mode === 'sweep') await driver.remove(key, { ...cancel, ifUnchanged: version })
    counts.tags++
  }
  return left
}

async function isYoung({ driver, limits }: SweepContext, key: string, modified: number, cancel: Cancel) {
  const { now } = await driver.list(key.slice(0, key.lastIndexOf('/') + 1), { ...cancel, limit: 1, times: true })
  return now - modified < limits.leaseMs
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

/** What the keys beside a manifest say of it. */
interface Names {
  readonly isThere: boolean
  /** A tag, an index or a push in flight names it, as far as its hints tell. */
  readonly isNamed: boolean
  readonly hasNote: boolean
  /** Hints of tags and indexes that lead nowhere any more. */
  readonly lost: readonly string[]
}

/**
 * Keeps the note right that says since when nothing names a manifest. When its last name is lost, retention counts from now on; where it does not, what was
 * noted before no longer holds. This comes before the hint goes, so a note that is older than a name is always told by the hint.
 */
async function settleNote(
  { driver, tracksUntagged }: SweepContext,
  repository: RepositoryName,
  digest: Digest,
  { isThere, isNamed, hasNote, lost }: Names,
  cancel: Cancel,
): Promise<void> {
  const key = untaggedKey(repository, digest)
  if (isThere && !isNamed && lost.length > 0 && tracksUntagged?.(repository) === true) {
    await driver.write(key, Buffer.alloc(0), { ...cancel, reserve: true })
  } else if (hasNote && (!isThere || isNamed || lost.length > 0)) {
    await driver.remove(key, cancel)
  }
}

/** Cleans up behind one manifest, whether it is there or not. `waiting`: a push is under way that may name it, or a dead tag is too young; look again later. */
export async function cleanNames(
  sweep: SweepContext,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<'clean' | 'waiting'> {
  const { driver, counts, mode } = sweep
  const deadTags = await removeDeadTags(sweep, repository, digest, cancel)
  let [isPushing, isNamed, hasNote] = [false, false, false]
  const marks: { readonly key: string; readonly incarnation: string }[] = []
  const lost: string[] = []
  for await (const { key } of listAll(driver, namedPrefix(repository, digest), cancel)) {
    const incarnation = parseManifestMark(key)
    const hint = parseHintKey(key)
    hasNote ||= isUntaggedKey(key)
    if (incarnation !== undefined) marks.push({ key, incarnation })
    if (hint === undefined) continue
    const state = await judgeHint(sweep, repository, digest, hint, cancel)
    isPushing ||= state === 'pushing'
    if (state !== 'dead') {
      isNamed ||= hint.kind !== 'referrer'
      continue
    }
    counts.hints++
    if (hint.kind !== 'referrer') lost.push(key)
    else if (mode === 'sweep') await driver.remove(key, cancel)
  }
  // Read after its marks: whoever marked an incarnation had seen it, so one that is not there now never comes again.
  const manifest = await readManifest(sweep, repository, digest, cancel)
  const isThere = manifest !== undefined
  const dead = marks.filter(({ incarnation }) => incarnation !== manifest?.push)
  counts.marks += dead.length
  if (hasNote && !isThere) counts.hints++
  if (mode === 'sweep') {
    for (const { key } of dead) await driver.remove(key, cancel)
    await settleNote(sweep, repository, digest, { isThere, isNamed, hasNote, lost }, cancel)
    for (const key of lost) await driver.remove(key, cancel)
  }
  return isPushing || deadTags > 0 ? 'waiting' : 'clean'
}
