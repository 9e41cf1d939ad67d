/** Works through garbage entries: each says what may have lost its last use, and what must have happened before. */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listAll, listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently, slicesOf } from '../concurrently.ts'
import { garbagePrefix, linksPrefix, parseLinkKey } from '../layout.ts'
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

/** Ids of bytes, each with a repository that has a link to them. */
type Ids = ReadonlyMap<string, RepositoryName>

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

/** The ids that links of a digest name, each with a repository that has one. */
async function idsOf(sweep: SweepContext, digest: Digest, cancel: Cancel): Promise<Ids> {
  const { driver } = sweep
  const ids = new Map<string, RepositoryName>()
  for await (const { key } of listAll(driver, linksPrefix(digest), cancel)) {
    const stored = await driver.read(key, cancel)
    const link = stored && decodeOrCount(sweep, () => decodeLink(stored.bytes))
    if (link !== undefined) ids.set(link.id, parseLinkKey(key))
  }
  return ids
}

/** Candidates by id, the digests of all entries that lead to one together. */
type Candidates = Map<string, Candidate & { readonly digests: Set<Digest> }>

function addCandidate(candidates: Candidates, { id, digests, repository }: Candidate): void {
  const known = candidates.get(id) ?? { id, digests: new Set<Digest>(), repository }
  for (const digest of digests) known.digests.add(digest)
  candidates.set(id, known)
}

/** What the entries of a batch lead to, each looked at once however many entries name it. */
interface Leads {
  /** Uploads to end, and bytes that links lead to, with the digests under which entries name them. */
  readonly ends: readonly Candidate[]
  readonly collects: readonly Candidate[]
  /** The ids that links of a digest name; without one that the store does not tell. */
  readonly idsOf: ReadonlyMap<Digest, Ids>
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
  const ends: Candidates = new Map()
  const collects: Candidates = new Map()
  const ids = new Map<Digest, Ids>()
  const digests = new Set(entries.flatMap((entry) => entry.digests ?? []))
  await mapConcurrently([...digests], sweep.limits.maxParallelCalls, async (digest) => {
    const found = await workOrCount(sweep, () => idsOf(sweep, digest, cancel))
    if (found !== undefined) ids.set(digest, found)
    for (const [id, repository] of found ?? []) addCandidate(collects, { id, digests: new Set([digest]), repository })
  })
  for (const { id, digests: named, repository } of entries) {
    if (id !== undefined) addCandidate(ends, { id, digests: new Set(named), repository })
  }
  for (const [id, known] of ends) {
    for (const digest of collects.get(id)?.digests ?? []) known.digests.add(digest)
    collects.delete(id)
  }
  return { ends: [...ends.values()], collects: [...collects.values()], idsOf: ids, clean }
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
    return linked !== undefined && [...linked.keys()].every(isOver)
  })
}

async function workThrough(sweep: SweepContext, entries: readonly Entry[], cancel: Cancel): Promise<void> {
  const { driver, limits, counts, mode } = sweep
  const leads = await follow(sweep, entries, cancel)
  const verdicts = new Map<string, Verdict>([
    ...(await endUploads(sweep, leads.ends, cancel)),
    ...(await collectLinked(sweep, leads.collects, cancel)),
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
