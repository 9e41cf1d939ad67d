/** Goes through the manifests: whether each is what its digest says, whether what it names is there, and whether it can be found by what it names. */
import { LRUCache } from 'lru-cache'
import { algorithmOf, computeDigest, type Digest } from '../../oci/digest.ts'
import { type ParsedManifest, parseManifest } from '../../oci/manifest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { noteGarbage } from '../garbage.ts'
import { linkKey, manifestKey, manifestMarkKey } from '../layout.ts'
import { hasBytes } from '../links.ts'
import { hintKeys, lookAtManifestMarks } from '../named.ts'
import { placeOf } from '../places.ts'
import { decodeLink, decodeManifest, type ManifestRecord } from '../records.ts'
import { batchSize, mayRepair, repairOutcome, type ScrubContext } from './context.ts'
import type { NamedManifest } from './pending.ts'
import { orTell, readStored, settleUnreadable } from './stored.ts'

/** Blobs of which the last look said that they are there: images share their layers. */
const rememberedBlobs = 10_000

interface Looking {
  readonly scrub: ScrubContext
  readonly there: LRUCache<string, true>
}

interface Read extends ManifestRecord, NamedManifest {
  readonly key: string
  readonly version: string
}

const noLimits = { maxDepth: Number.POSITIVE_INFINITY, maxReferences: Number.POSITIVE_INFINITY }

async function isBlobThere(
  { scrub, there }: Looking,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<boolean> {
  const key = linkKey(digest, repository)
  if (there.has(key)) return true
  const link = await readStored(scrub, key, decodeLink, cancel)
  // The store does not say: that is told of where the link lies.
  if (link.state === 'unreadable' && link.version === undefined) return true
  if (link.state !== 'read' || !(await hasBytes(scrub, link.value, cancel))) return false
  there.set(key, true)
  return true
}

async function findAbsent(
  looking: Looking,
  repository: RepositoryName,
  { blobs, manifests }: ParsedManifest,
  cancel: Cancel,
): Promise<readonly Digest[]> {
  const absent: Digest[] = []
  for (const digest of blobs) if (!(await isBlobThere(looking, repository, digest, cancel))) absent.push(digest)
  for (const digest of manifests) {
    if ((await looking.scrub.driver.stat(manifestKey(repository, digest), cancel)) === undefined) absent.push(digest)
  }
  return absent
}

/** The manifest as it is now is the one that was read: nobody pushed or deleted it meanwhile. */
async function isUnchanged({ driver }: ScrubContext, { key, version }: Read, cancel: Cancel): Promise<boolean> {
  return (await driver.stat(key, cancel))?.version === version
}

/** Promise P2: what a manifest names is there. A client that deletes blob by blob breaks it, too. */
async function checkNamed(looking: Looking, manifest: Read, parsed: ParsedManifest, cancel: Cancel): Promise<void> {
  const { scrub } = looking
  const { key, repository, digest } = manifest
  if ((await findAbsent(looking, repository, parsed, cancel)).length === 0) return
  if (!(await isUnchanged(scrub, manifest, cancel))) return
  const absent = await findAbsent(looking, repository, parsed, cancel)
  if (absent.length === 0 || !(await isUnchanged(scrub, manifest, cancel))) return
  const shown = absent.slice(0, 10).join(', ') + (absent.length > 10 ? ` and ${absent.length - 10} more` : '')
  scrub.tell({ kind: 'broken', key, repository, digest, detail: `it names ${shown}`, outcome: 'found' })
}

/** An index is found by its entries, a referrer by its subject: without the hint a DELETE or a list would not see it. */
async function checkHints(
  { scrub }: Looking,
  manifest: Read,
  { manifests, subject }: ParsedManifest,
  cancel: Cancel,
): Promise<void> {
  const { key, repository, digest, push } = manifest
  const missing: string[] = []
  for (const hint of hintKeys(repository, { digest, tags: [], manifests, subject }, push)) {
    if ((await scrub.driver.stat(hint, cancel)) === undefined) missing.push(hint)
  }
  if (missing.length === 0 || !(await isUnchanged(scrub, manifest, cancel))) return
  // One too many leads nowhere and harms nobody.
  if (mayRepair(scrub)) for (const hint of missing) await scrub.driver.write(hint, Buffer.alloc(0), cancel)
  const detail = `${missing.length} of them, e.g. ${missing[0]}`
  scrub.tell({ kind: 'missing hint', key, repository, digest, detail, outcome: repairOutcome(scrub) })
}

/** Condemned by a mark, so that the next push writes it anew; its bytes stay until damaged content is deleted. */
async function settleWrong(scrub: ScrubContext, manifest: Read, detail: string, cancel: Cancel): Promise<void> {
  const { key, repository, push, version } = manifest
  const { digest } = manifest
  if (scrub.mode === 'delete damaged') {
    await noteGarbage(scrub, { repository, manifests: [digest] }, cancel)
    await scrub.driver.remove(key, { ...cancel, ifUnchanged: version })
  } else if (mayRepair(scrub)) {
    const { marks } = await lookAtManifestMarks(scrub, repository, digest, push, cancel)
    const mark = manifestMarkKey(repository, digest, push, `damaged-${scrub.createId()}`)
    if (marks === 'none') await scrub.driver.write(mark, Buffer.alloc(0), { ...cancel, reserve: true })
  }
  const outcome = scrub.mode === 'delete damaged' ? 'deleted' : repairOutcome(scrub)
  scrub.tell({ kind: 'wrong manifest', key, repository, digest, detail, outcome })
}

async function settleUnreadableManifest(
  scrub: ScrubContext,
  key: string,
  found: { readonly version: string | undefined; readonly reason: string },
  { repository, digest }: NamedManifest,
  cancel: Cancel,
): Promise<void> {
  // The bytes behind the header may be whole, so only whoever asks for it loses them.
  const isDeleted = scrub.mode === 'delete damaged' && found.version !== undefined
  if (isDeleted) await noteGarbage(scrub, { repository, manifests: [digest] }, cancel)
  await settleUnreadable(scrub, key, found, isDeleted ? 'remove' : 'leave', cancel)
}

async function checkManifest(looking: Looking, key: string, cancel: Cancel): Promise<void> {
  const { scrub } = looking
  const place = placeOf(key)
  if (place?.kind !== 'manifest') return scrub.tell({ kind: 'unknown', key, outcome: 'found' })
  const { repository, digest } = place
  const stored = await readStored(scrub, key, decodeManifest, cancel)
  if (stored.state === 'absent') return undefined
  if (stored.state === 'unreadable') return settleUnreadableManifest(scrub, key, stored, place, cancel)
  const { bytes } = stored.value
  const manifest = { ...stored.value, key, repository, digest, version: stored.version }
  const computed = computeDigest(algorithmOf(digest), bytes)
  if (computed !== digest) return settleWrong(scrub, manifest, `its bytes have the digest ${computed}`, cancel)
  if (stored.value.digest !== digest) return settleWrong(scrub, manifest, `it says ${stored.value.digest}`, cancel)
  const parsed = parseManifest(bytes, stored.value.mediaType, noLimits)
  await checkNamed(looking, manifest, parsed, cancel)
  return checkHints(looking, manifest, parsed, cancel)
}

/** Goes through all manifests behind a key. */
export async function scrubManifests(scrub: ScrubContext, after: string, cancel: Cancel): Promise<void> {
  const looking = { scrub, there: new LRUCache<string, true>({ max: rememberedBlobs }) }
  for await (const { entries } of listPages(scrub.driver, 'manifests/', { ...cancel, after, pageSize: batchSize })) {
    await mapConcurrently(entries, scrub.limits.maxParallelCalls, ({ key }) =>
      orTell(scrub, key, () => checkManifest(looking, key, cancel)),
    )
    const last = entries.at(-1)
    if (last !== undefined) scrub.reach(last.key)
  }
}
