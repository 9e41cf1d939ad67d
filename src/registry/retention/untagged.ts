/**
 * Which manifests go because nothing names them: no tag, no index, no push in flight, and no subject that is there. They go by the steps of a DELETE, and
 * their referrers with them. Protocol: DESIGN section 4, "DELETE manifest", "Retention".
 */
import { type Digest, hexOf } from '../../oci/digest.ts'
import { parseManifest } from '../../oci/manifest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listAll } from '../../storage/list-all.ts'
import { type Cancel, StorageError } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import type { Context } from '../context.ts'
import { hintsAfter, manifestKey, namedPrefix, parseHintKey } from '../layout.ts'
import { untaggedKey } from '../layout-untagged.ts'
import { readManifest, readTag, type StoredManifest } from '../lookup.ts'
import { findNamingIndex, findNamingTag } from '../named.ts'
import { removeUnlessKept } from '../removal.ts'
import { describeSetting, describeSpan } from '../span.ts'
import { fractionOf } from '../sweep/context.ts'
import { workOrCount } from '../sweep/unreadable.ts'
import type { RetentionContext } from './context.ts'
import { listNamed, type Names, readNames, untaggedSince } from './names.ts'
import type { RepositoryRules } from './rules.ts'

type UntaggedRule = NonNullable<RepositoryRules['untagged']>

const noLimits = { maxDepth: Number.POSITIVE_INFINITY, maxReferences: Number.POSITIVE_INFINITY }

function subjectOf({ bytes, mediaType }: StoredManifest): Digest | undefined {
  return parseManifest(bytes, mediaType, noLimits).subject
}

/** What keeps a manifest from being removed by retention: the name of what names it, or its subject. */
async function findKeeper(
  context: Context,
  repository: RepositoryName,
  digest: Digest,
  subject: Digest | undefined,
  cancel: Cancel,
): Promise<string | undefined> {
  const index = await findNamingIndex(context, repository, digest, cancel)
  if (index !== undefined) return index.digest
  const tag = await findNamingTag(context, repository, digest, () => true, cancel)
  if (tag !== undefined || subject === undefined) return tag
  return (await context.driver.stat(manifestKey(repository, subject), cancel)) === undefined ? undefined : subject
}

/** Removes a manifest that nothing needs, by DELETE's steps. Exported for the schedule proof. */
export async function removeUntagged(
  context: Context,
  repository: RepositoryName,
  manifest: StoredManifest,
  cancel: Cancel,
): Promise<'removed' | 'left'> {
  const { digest } = manifest
  const subject = subjectOf(manifest)
  const look = (): Promise<string | undefined> => findKeeper(context, repository, digest, subject, cancel)
  const { outcome } = await removeUnlessKept(context, repository, manifest, look, cancel)
  if (outcome === 'removed') await context.driver.remove(untaggedKey(repository, digest), cancel)
  return outcome === 'removed' ? 'removed' : 'left'
}

async function removeReferrer(
  retention: RetentionContext,
  repository: RepositoryName,
  referrer: StoredManifest,
  cancel: Cancel,
): Promise<'removed' | 'left'> {
  if (retention.mode === 'remove') return removeUntagged(retention, repository, referrer, cancel)
  // In a run that only looks the subject is still there, and must not count.
  const keeper = await findKeeper(retention, repository, referrer.digest, undefined, cancel)
  return keeper === undefined ? 'removed' : 'left'
}

/** Tells of a removal, and removes what referred to the manifest, and so on. */
async function followRemoval(
  retention: RetentionContext,
  repository: RepositoryName,
  removal: { readonly digest: Digest; readonly rule: string; readonly reason: string },
  cancel: Cancel,
): Promise<void> {
  const { driver, counts, onDecision } = retention
  const { digest, rule, reason } = removal
  counts.manifests++
  onDecision({ repository, what: { kind: 'manifest', digest }, verdict: 'remove', rule, reason })
  const after = hintsAfter(repository, digest, 'referrer')
  for await (const { key } of listAll(driver, namedPrefix(repository, digest), { ...cancel, after })) {
    const hint = parseHintKey(key)
    if (hint?.kind !== 'referrer') return
    const referrer = await readManifest(retention, repository, hint.digest, cancel)
    if (referrer === undefined || subjectOf(referrer) !== digest) continue
    if ((await removeReferrer(retention, repository, referrer, cancel)) === 'left') continue
    const next = { digest: hint.digest, rule, reason: `its subject ${digest} goes` }
    await followRemoval(retention, repository, next, cancel)
  }
}

/** Whether the newest hints lead: for most manifests that is all there is to look at. */
async function isNamed(
  context: RetentionContext,
  repository: RepositoryName,
  digest: Digest,
  { tag, index }: Names,
  cancel: Cancel,
): Promise<boolean> {
  if (tag?.kind === 'tag') {
    const named = await readTag(context, repository, tag.tag, cancel)
    if (named?.digest === digest) return true
  }
  return (
    index?.kind === 'index' && (await context.driver.stat(manifestKey(repository, index.digest), cancel)) !== undefined
  )
}

/** From now on the manifest counts as untagged. A store without room takes no notes: what is due must go all the same. */
async function noteUntagged(
  { driver }: RetentionContext,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<void> {
  try {
    await driver.write(untaggedKey(repository, digest), Buffer.alloc(0), { ...cancel, durable: false })
  } catch (error) {
    if (!(error instanceof StorageError) || error.reason !== 'full') throw error
  }
}

async function examine(
  retention: RetentionContext,
  repository: RepositoryName,
  rule: UntaggedRule,
  { digest, names, now }: { readonly digest: Digest; readonly names: Names; readonly now: number },
  cancel: Cancel,
): Promise<void> {
  const { driver, counts, mode, onDecision } = retention
  if (await isNamed(retention, repository, digest, names, cancel)) return
  const manifest = await readManifest(retention, repository, digest, cancel)
  if (manifest === undefined) return
  if ((await findKeeper(retention, repository, digest, subjectOf(manifest), cancel)) !== undefined) return
  const since = untaggedSince(names)
  const wait = (reason: string): void => {
    counts.waiting++
    onDecision({ repository, what: { kind: 'manifest', digest }, verdict: 'wait', rule: rule.name, reason })
  }
  if (since === undefined) {
    if (mode === 'remove') await noteUntagged(retention, repository, digest, cancel)
    return wait(`untagged, seen for the first time: goes in ${describeSetting(rule.afterMs)}`)
  }
  const span = `untagged for ${describeSpan(now - since)}`
  if (now - since < rule.afterMs) return wait(`${span}, not yet ${describeSetting(rule.afterMs)}`)
  if (mode === 'remove') {
    // Named and lost again since the page was listed: it counts from then.
    if (untaggedSince(await readNames(driver, repository, digest, cancel)) !== since) return
    if ((await removeUntagged(retention, repository, manifest, cancel)) === 'left') return
  }
  const reason = `${span}, more than ${describeSetting(rule.afterMs)}`
  await followRemoval(retention, repository, { digest, rule: rule.name, reason }, cancel)
}

/** Decides on every manifest of a repository that nothing names, and removes those that go. */
export async function retainUntagged(
  retention: RetentionContext,
  repository: RepositoryName,
  rule: UntaggedRule,
  cancel: Cancel,
): Promise<void> {
  const { driver, limits, reach } = retention
  for await (const { manifests, now } of listNamed(driver, repository, cancel)) {
    await mapConcurrently(manifests, limits.maxParallelCalls, ({ digest, names }) =>
      workOrCount(retention, () => examine(retention, repository, rule, { digest, names, now }, cancel)),
    )
    const last = manifests.at(-1)
    if (last !== undefined) reach(fractionOf(hexOf(last.digest)))
  }
}
