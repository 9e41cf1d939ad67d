/** Works through garbage entries: each says what may have lost its last use, and what must have happened before. */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listAll, listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently, slicesOf } from '../concurrently.ts'
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

/** The ids that links of a digest name. */
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

/** What the entries of a batch lead to, each looked at once however many entries name it. */
interface Leads {
  /** Uploads to end, and bytes that links lead to, with the digests under which entries name them. */
  readonly ends: ReadonlyMap<string, ReadonlySet<Digest>>
  readonly collects: ReadonlyMap<string, ReadonlySet<Digest>>
  /** The ids that links of a digest name; without one that the store does not tell. */
  readonly idsOf: ReadonlyMap<Digest, ReadonlySet<string>>
  /** Manifests behind which all is clean, by `nameOf`. */
  readonly clean: ReadonlySet<string>
}

function nameOf(repository: RepositoryName, digest: Digest): string {
  return `${repository}@${digest}`
}

async function cleanBehind(
  sweep: SweepContext,
  entries: readonly Entry[],
  cancel: Cancel,
): Promise<ReadonlySet<string>> {
  const manifests = new Map<string, readonly [RepositoryName, Digest]>()
  for (const { repository, manifests: named = [] } of entries) {
    if (repository === undefined) continue
    for (const digest of named) manifests.set(nameOf(repository, digest), [repository, digest])
  }
  const clean = new Set<string>()
  await mapConcurrently([...manifests], sweep.limits.maxParallelCalls, async ([name, [repository, digest]]) => {
    const state = await workOrCount(sweep, () => cleanNames(sweep, repository, digest, cancel))
    if (state === 'clean') clean.add(name)
  })
  return clean
}

async function follow(sweep: SweepContext, entries: readonly Entry[], cancel: Cancel): Promise<Leads> {
  const clean = await cleanBehind(sweep, entries, cancel)
  const ends = new Map<string, Set<Digest>>()
  const collects = new Map<string, Set<Digest>>()
  const ids = new Map<Digest, ReadonlySet<string>>()
  const digests = new Set(entries.flatMap((entry) => entry.digests ?? []))
  await mapConcurrently([...digests], sweep.limits.maxParallelCalls, async (digest) => {
    const found = await workOrCount(sweep, () => idsOf(sweep, digest, cancel))
    if (found !== undefined) ids.set(digest, found)
    for (const id of found ?? []) addCandidate(collects, id, [digest])
  })
  for (const { id, digests: named = [] } of entries) if (id !== undefined) addCandidate(ends, id, named)
  for (const [id, known] of ends) {
    for (const digest of collects.get(id) ?? []) known.add(digest)
    collects.delete(id)
  }
  return { ends, collects, idsOf: ids, clean }
}

/** Whether nothing is left to do for an entry. */
function isDone(
  { repository, manifests = [], digests = [], id }: Entry,
  { idsOf: ids, clean }: Leads,
  verdicts: ReadonlyMap<string, Verdict>,
): boolean {
  const isOver = (each: string): boolean => verdicts.get(each) !== 'leased'
  if (repository !== undefined && !manifests.every((digest) => clean.has(nameOf(repository, digest)))) return false
  if (id !== undefined && !isOver(id)) return false
  return digests.every((digest) => {
    const linked = ids.get(digest)
    return linked !== undefined && [...linked].every(isOver)
  })
}

async function workThrough(sweep: SweepContext, entries: readonly Entry[], cancel: Cancel): Promise<void> {
  const { driver, limits, counts, mode } = sweep
  const leads = await follow(sweep, entries, cancel)
  const verdicts = new Map<string, Verdict>([
    ...(await endUploads(sweep, toCandidates(leads.ends), cancel)),
    ...(await collectLinked(sweep, toCandidates(leads.collects), cancel)),
  ])
  const done = entries.filter((entry) => isDone(entry, leads, verdicts))
  counts.waiting += entries.length - done.length
  if (mode === 'look') return
  await mapConcurrently(done, limits.maxParallelCalls, ({ key }) =>
    workOrCount(sweep, () => driver.remove(key, { ...cancel, durable: false })),
  )
}

async function readEntry(sweep: SweepContext, key: string, ageMs: number, cancel: Cancel): Promise<Entry | undefined> {
  const stored = await sweep.driver.read(key, cancel)
  const record = stored && decodeOrCount(sweep, () => decodeGarbage(stored.bytes))
  if (record === undefined) return undefined
  const entry = { ...record, key, ageMs }
  if (ageMs >= sweep.limits.leaseMs || (await hasHappened(sweep, entry, cancel))) return entry
  sweep.counts.waiting++
  return undefined
}

/** What an entry makes a batch heavier by: it, and everything that is looked at for it. */
function weightOf({ digests = [], manifests = [] }: Entry): number {
  return 1 + digests.length + manifests.length
}

/** A folder reads and sorts all names for a page, so pages are large: some 10 MB of memory each. */
const pageSize = 50_000

/** Works through all entries that are old enough, a batch at a time. */
export async function workThroughGarbage(sweep: SweepContext, cancel: Cancel): Promise<void> {
  const { driver, sweepLimits, limits, report } = sweep
  const { batchSize, garbageAgeMs } = sweepLimits
  let batch: Entry[] = []
  let weight = 0
  const work = async (): Promise<void> => {
    await workThrough(sweep, batch, cancel)
    report('garbage', fractionOf(batch.at(-1)?.key.slice(garbagePrefix.length) ?? ''))
    batch = []
    weight = 0
  }
  for await (const { entries, now = 0 } of listPages(driver, garbagePrefix, { ...cancel, times: true, pageSize })) {
    const old = entries.filter(({ modified = now }) => now - modified >= garbageAgeMs)
    // Few at a time: each may name thousands of things.
    for (const some of slicesOf(old, limits.maxParallelCalls)) {
      const read = await mapConcurrently(some, limits.maxParallelCalls, ({ key, modified = now }) =>
        workOrCount(sweep, () => readEntry(sweep, key, now - modified, cancel)),
      )
      for (const entry of read) {
        if (entry === undefined) continue
        batch.push(entry)
        weight += weightOf(entry)
        if (weight >= batchSize) await work()
      }
    }
  }
  if (batch.length > 0) await work()
}
