/**
 * Goes through the blobs: each digest once, and each of its uploads once, however many repositories share it. Finds bytes that are damaged or gone, and
 * blobs that nothing names and the sweep has lost sight of.
 */
import type { Digest } from '../../oci/digest.ts'
import { type Cancel } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { noteGarbage } from '../garbage.ts'
import { dataPrefix, linksPrefix, uploadPrefix } from '../layout.ts'
import { type LinkRecord } from '../records.ts'
import { lookAtUses } from '../sweep/uses.ts'
import { type Candidate, findDigests } from '../sweep/digests.ts'
import { batchSize, mayRepair, repairOutcome, type ScrubContext } from './context.ts'
import { verifyBlob } from './damage.ts'
import { findPendingBlobs } from './pending.ts'
import { orTell, settleUnreadable } from './stored.ts'
import { walkLinks } from './walk-links.ts'

/** A digest with what its links say: most often all the same. */
export interface Blob {
  readonly digest: Digest
  /** By the text of the record. */
  readonly variants: Map<string, LinkRecord>
  /** The last link of it, in byte order. */
  lastKey: string
}

/** Blobs that are read at the same time: enough to keep a disk busy, too few to be in the way. */
const parallelBlobs = 4

async function* groupByDigest(scrub: ScrubContext, after: string, cancel: Cancel): AsyncGenerator<Blob> {
  let blob: Blob | undefined
  for await (const walked of walkLinks(scrub, after, cancel)) {
    if (walked.kind === 'unknown') scrub.tell({ kind: 'unknown', key: walked.key, outcome: 'found' })
    if (walked.kind === 'unreadable') {
      await orTell(scrub, walked.key, () => settleUnreadable(scrub, walked.key, walked, 'remove', cancel))
    }
    if (walked.kind !== 'link') continue
    const { digest, key, record, text } = walked.link
    if (blob?.digest !== digest) {
      if (blob !== undefined) yield blob
      blob = { digest, variants: new Map(), lastKey: key }
    }
    blob.variants.set(text, record)
    blob.lastKey = key
  }
  if (blob !== undefined) yield blob
}

async function* batchesOf<T>(items: AsyncIterable<T>): AsyncGenerator<readonly T[]> {
  let batch: T[] = []
  for await (const item of items) {
    batch.push(item)
    if (batch.length < batchSize) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Those that nothing needs at this moment; none where a manifest that may name them cannot be read. */
async function pickUnused(
  scrub: ScrubContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): Promise<readonly Candidate[]> {
  const unused: Candidate[] = []
  for await (const judged of lookAtUses(scrub.sweep, candidates, cancel)) {
    for (const { candidate, verdict, uses } of judged) {
      if (verdict === undefined && uses.length > 0) unused.push(candidate)
    }
  }
  return unused
}

/** An upload that ended leads the sweep to its bytes, and so does a garbage entry. */
async function withoutPending(
  scrub: ScrubContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): Promise<readonly Candidate[]> {
  const pending = await findPendingBlobs(scrub, new Set(candidates.flatMap(({ digests }) => [...digests])), cancel)
  const left: Candidate[] = []
  for (const each of candidates) {
    if ([...each.digests].some((digest) => pending.has(digest))) continue
    const { entries } = await scrub.driver.list(uploadPrefix(each.id), { ...cancel, limit: 1 })
    if (entries.length === 0) left.push(each)
  }
  return left
}

/** The sweep is told of what it lost sight of; it removes it by its own rules, if it is unused still. */
async function findUnused(scrub: ScrubContext, blobs: readonly Blob[], cancel: Cancel): Promise<void> {
  const candidates = blobs.flatMap(({ digest, variants }) =>
    [...new Set([...variants.values()].map(({ id }) => id))].map((id) => ({ id, digests: new Set([digest]) })),
  )
  const suspects = await withoutPending(scrub, await pickUnused(scrub, candidates, cancel), cancel)
  if (suspects.length === 0) return
  // Looked at again: what was pending may have been on its way when the entries were read, and other digests of the same bytes may be used.
  const atOnce = scrub.limits.maxParallelCalls
  const digestsOf = new Map<Candidate, ReadonlySet<Digest>>()
  await mapConcurrently(suspects, atOnce, async (suspect) => {
    const found = await orTell(scrub, dataPrefix(suspect.id), () => findDigests(scrub.sweep, suspect, cancel))
    if (found?.candidate !== undefined) digestsOf.set(found.candidate, suspect.digests)
  })
  for (const unused of await pickUnused(scrub, [...digestsOf.keys()], cancel)) {
    if (mayRepair(scrub)) await noteGarbage(scrub, { digests: [...unused.digests] }, cancel)
    for (const digest of digestsOf.get(unused) ?? []) {
      scrub.tell({ kind: 'unused', key: linksPrefix(digest), digest, outcome: repairOutcome(scrub) })
    }
  }
}

/** Goes through all blobs behind a key. */
export async function scrubBlobs(scrub: ScrubContext, after: string, cancel: Cancel): Promise<void> {
  for await (const blobs of batchesOf(groupByDigest(scrub, after, cancel))) {
    await orTell(scrub, blobs[0]?.lastKey ?? after, () => findUnused(scrub, blobs, cancel))
    const done = new Set<Blob>()
    let reached = 0
    await mapConcurrently(blobs, parallelBlobs, async (blob) => {
      await verifyBlob(scrub, blob, cancel)
      done.add(blob)
      // Several are under way: the position moves when all before it are done.
      for (let next = blobs[reached]; next !== undefined && done.has(next); next = blobs[++reached])
        scrub.reach(next.lastKey)
    })
  }
}
