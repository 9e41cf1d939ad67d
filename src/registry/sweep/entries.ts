/** Works through garbage entries: each says what may have lost its last use, and what must have happened before. */
import type { Digest } from '../../oci/digest.ts'
import { listAll, listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { garbagePrefix, linksPrefix } from '../layout.ts'
import { readManifest } from '../lookup.ts'
import { decodeGarbage, decodeLink, decodeTag, type GarbageRecord } from '../records.ts'
import { collectLinked, type Verdict } from './collect.ts'
import { fractionOf, type SweepContext } from './context.ts'
import type { Candidate } from './digests.ts'
import { cleanNames } from './hints.ts'
import { decodeOrCount, workOrCount } from './unreadable.ts'
import { endUploads } from './uploads.ts'

interface Entry extends GarbageRecord {
  readonly key: string
  /** By the store's clock, in ms. */
  readonly ageMs: number
}

/** Whether what the entry was written for has happened: what it waits for is no longer there. */
async function hasHappened(sweep: SweepContext, { until, repository }: Entry, cancel: Cancel): Promise<boolean> {
  if (until === undefined) return true
  if (until.kind === 'manifest') {
    const manifest = repository && (await readManifest(sweep, repository, until.digest, cancel))
    return manifest?.push !== until.push
  }
  const stored = await sweep.driver.read(until.key, cancel)
  if (stored === undefined) return true
  return until.kind === 'tag'
    ? decodeTag(stored.bytes).digest !== until.digest
    : decodeLink(stored.bytes).id !== until.id
}

/** The ids that links of a digest name, other than one that is ended anyhow. */
async function idsOf(sweep: SweepContext, digest: Digest, cancel: Cancel): Promise<ReadonlySet<string>> {
  const { driver } = sweep
  const ids = new Set<string>()
  for await (const { key } of listAll(driver, linksPrefix(digest), cancel)) {
    const stored = await driver.read(key, cancel)
    const link = stored && decodeOrCount(sweep, () => decodeLink(stored.bytes))
    if (link !== undefined) ids.add(link.id)
  }
  return ids
}

/** Candidates by id, the digests of all entries that lead to one together. */
function addCandidate(candidates: Map<string, Set<Digest>>, id: string, digests: Iterable<Digest>): void {
  const known = candidates.get(id) ?? new Set<Digest>()
  for (const digest of digests) known.add(digest)
  candidates.set(id, known)
}

function toCandidates(candidates: ReadonlyMap<string, ReadonlySet<Digest>>): readonly Candidate[] {
  return [...candidates].map(([id, digests]) => ({ id, digests }))
}

interface Found {
  readonly entry: Entry
  /** Ids whose verdicts decide whether the entry is done. */
  readonly ids: ReadonlySet<string>
  readonly isPushing: boolean
}

async function workThrough(sweep: SweepContext, entries: readonly Entry[], cancel: Cancel): Promise<void> {
  const { driver, limits, counts, mode } = sweep
  const ends = new Map<string, Set<Digest>>()
  const collects = new Map<string, Set<Digest>>()
  const found = await mapConcurrently(entries, limits.maxParallelCalls, async (entry): Promise<Found> => {
    const { repository, manifests = [], digests = [], id } = entry
    let isPushing = false
    if (repository !== undefined) {
      for (const digest of manifests) {
        const state = await workOrCount(sweep, () => cleanNames(sweep, repository, digest, cancel))
        if (state !== 'clean') isPushing = true
      }
    }
    const ids = new Set<string>(id === undefined ? [] : [id])
    if (id !== undefined) addCandidate(ends, id, digests)
    for (const digest of digests) {
      for (const linked of await idsOf(sweep, digest, cancel)) {
        ids.add(linked)
        addCandidate(collects, linked, [digest])
      }
    }
    return { entry, ids, isPushing }
  })
  for (const [id, digests] of ends) {
    addCandidate(ends, id, collects.get(id) ?? digests)
    collects.delete(id)
  }
  const verdicts = new Map<string, Verdict>([
    ...(await endUploads(sweep, toCandidates(ends), cancel)),
    ...(await collectLinked(sweep, toCandidates(collects), cancel)),
  ])
  const isDone = ({ ids, isPushing }: Found): boolean =>
    !isPushing && [...ids].every((id) => verdicts.get(id) !== 'leased')
  const done = found.filter(isDone)
  counts.waiting += found.length - done.length
  if (mode === 'look') return
  await mapConcurrently(done, limits.maxParallelCalls, ({ entry }) =>
    driver.remove(entry.key, { ...cancel, durable: false }),
  )
}

async function readEntry(sweep: SweepContext, key: string, ageMs: number, cancel: Cancel): Promise<Entry | undefined> {
  const stored = await sweep.driver.read(key, cancel)
  if (stored === undefined) return undefined
  const record = decodeOrCount(sweep, () => decodeGarbage(stored.bytes))
  if (record === undefined) return undefined
  const entry = { ...record, key, ageMs }
  if (ageMs >= sweep.limits.leaseMs) return entry
  if ((await workOrCount(sweep, () => hasHappened(sweep, entry, cancel))) === true) return entry
  sweep.counts.waiting++
  return undefined
}

/** Works through all entries that are old enough, a batch at a time. */
export async function workThroughGarbage(sweep: SweepContext, cancel: Cancel): Promise<void> {
  const { driver, sweepLimits, limits, report } = sweep
  const { batchSize, garbageAgeMs } = sweepLimits
  let batch: Entry[] = []
  for await (const page of listPages(driver, garbagePrefix, { ...cancel, times: true, pageSize: batchSize })) {
    const now = page.now ?? 0
    const old = page.entries.filter(({ modified = now }) => now - modified >= garbageAgeMs)
    const entries = await mapConcurrently(old, limits.maxParallelCalls, ({ key, modified = now }) =>
      readEntry(sweep, key, now - modified, cancel),
    )
    batch.push(...entries.filter((entry) => entry !== undefined))
    if (page.more && batch.length < batchSize) continue
    await workThrough(sweep, batch, cancel)
    batch = []
    report('garbage', fractionOf(page.entries.at(-1)?.key.slice(garbagePrefix.length) ?? ''))
  }
}
