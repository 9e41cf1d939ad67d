/**
 * Collects the bytes of uploads that nobody needs: look, mark, look again, delete. Whoever relies on bytes writes first and then looks for marks,
 * so at least one of the two sees the other. Many ids go through each step together: a repository is read once for all of them.
 * Protocol: DESIGN section 4, "Collect an id".
 */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listAll, listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import {
  dataMarkKey,
  dataPrefix,
  isDataMark,
  isAboutData,
  linkedAsKey,
  linkKey,
  linksPrefix,
  parseLinkKey,
  renewalKey,
} from '../layout.ts'
import { decodeLink, encodeRecord } from '../records.ts'
import type { SweepContext } from './context.ts'
import { type Candidate, findDigests } from './digests.ts'
import { findNamed } from './names.ts'
import { decodeOrCount } from './unreadable.ts'

/** `named`: a manifest needs the bytes. `leased`: ask again later. `gone`: nothing of the bytes is left. */
export type Verdict = 'named' | 'leased' | 'gone'

interface Use {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly key: string
  readonly version: string
  /** When the link was written, by the store's clock, in ms. */
  readonly modified: number
}

interface Look {
  readonly candidate: Candidate
  readonly uses: readonly Use[]
  readonly isLeased: boolean
}

/** The links that name the bytes of a candidate, and whether one of them is young. */
async function lookAtLinks(sweep: SweepContext, candidate: Candidate, cancel: Cancel): Promise<Look> {
  const { driver } = sweep
  const uses: Use[] = []
  let isUnreadable = false
  for (const digest of candidate.digests) {
    for await (const { key } of listAll(driver, linksPrefix(digest), cancel)) {
      const stored = await driver.read(key, cancel)
      const link = stored && decodeOrCount(sweep, () => decodeLink(stored.bytes))
      // It may name these bytes.
      if (stored !== undefined && link === undefined) isUnreadable = true
      if (stored === undefined || link?.id !== candidate.id) continue
      uses.push({ repository: parseLinkKey(key), digest, key, version: stored.version, modified: stored.modified })
    }
  }
  const isLeased = isUnreadable || (uses.length > 0 && (await isAnyYoung(sweep, candidate, uses, cancel)))
  return { candidate, uses, isLeased }
}

/** Whether a link or its renewal is younger than the lease. The renewals are read after the links; the store's time comes with them. */
async function isAnyYoung(
  { driver, limits }: SweepContext,
  { id }: Candidate,
  uses: readonly Use[],
  cancel: Cancel,
): Promise<boolean> {
  const keys = new Set(uses.map(({ repository }) => renewalKey(id, repository)))
  for await (const page of listPages(driver, dataPrefix(id), { ...cancel, times: true, after: `${dataPrefix(id)}~` })) {
    const isYoung = (modified = 0): boolean => (page.now ?? 0) - modified < limits.leaseMs
    if (uses.some((use) => isYoung(use.modified))) return true
    if (page.entries.some(({ key, modified }) => keys.has(key) && isYoung(modified))) return true
  }
  return false
}

/** What each candidate is needed for at this moment; `undefined` in the map's place means not at all. */
export async function lookAtUses(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): Promise<
  ReadonlyMap<Candidate, { readonly verdict: 'named' | 'leased' | undefined; readonly uses: readonly Use[] }>
> {
  const looks = await mapConcurrently(candidates, sweep.limits.maxParallelCalls, (each) =>
    lookAtLinks(sweep, each, cancel),
  )
  const wanted = new Map<RepositoryName, Set<Digest>>()
  for (const { uses } of looks) {
    for (const { repository, digest } of uses) {
      const digests = wanted.get(repository) ?? new Set()
      wanted.set(repository, digests.add(digest))
    }
  }
  const named = new Map<string, 'push' | 'manifest'>()
  await mapConcurrently([...wanted], sweep.limits.maxParallelCalls, async ([repository, digests]) => {
    const found = await findNamed(sweep, repository, digests, cancel)
    for (const [digest, by] of found) named.set(linkKey(digest, repository), by)
  })
  return new Map(
    looks.map(({ candidate, uses, isLeased }) => {
      const by = new Set(uses.map(({ key }) => named.get(key)))
      const verdict = by.has('manifest') ? 'named' : isLeased || by.has('push') ? 'leased' : undefined
      return [candidate, { verdict, uses }]
    }),
  )
}

/** Counts what would be freed; an upload and a garbage entry may both lead to the same bytes. */
async function countOnly(
  { driver, counts, seenSince }: SweepContext,
  { id }: Candidate,
  cancel: Cancel,
): Promise<'gone'> {
  if (seenSince.has(dataPrefix(id))) return 'gone'
  seenSince.set(dataPrefix(id), 0)
  counts.blobs++
  for await (const { key } of listAll(driver, dataPrefix(id), cancel)) {
    if (isDataMark(key) || isAboutData(key)) continue
    // Not in one expression: other candidates add to the sum while this one waits.
    const stat = await driver.stat(key, cancel)
    counts.freedBytes += stat?.size ?? 0
  }
  return 'gone'
}

/** Deletes the bytes, then all marks and renewals, then the links: an id once dead is never named again. The last key of the id goes durably, and with it the others. */
async function deleteCandidate(
  sweep: SweepContext,
  { id }: Candidate,
  uses: readonly Use[],
  cancel: Cancel,
): Promise<void> {
  const { driver, counts } = sweep
  let segments = 0
  for await (const { key } of listAll(driver, dataPrefix(id), cancel)) {
    if (isDataMark(key) || isAboutData(key)) continue
    const stat = await driver.stat(key, cancel)
    await driver.remove(key, { ...cancel, durable: false })
    counts.freedBytes += stat?.size ?? 0
    segments++
  }
  // Listed again: who renews after this finds the bytes gone, and removes what he wrote.
  let last: string | undefined
  for await (const { key } of listAll(driver, dataPrefix(id), cancel)) {
    if (last !== undefined) await driver.remove(last, { ...cancel, durable: false })
    last = key
  }
  if (last !== undefined) await driver.remove(last, cancel)
  for (const { key, version } of uses) await driver.remove(key, { ...cancel, ifUnchanged: version })
  if (segments > 0) counts.blobs++
}

/**
 * Keeps the digests under which bytes are linked beside them, before the claims that said so go. Another sweep may see only some of the claims, or
 * none: without this it would look for links in the wrong place, find none and delete what is needed. False when no link is there any more: then the
 * claims must stay until the bytes are gone.
 */
export async function keepDigests(sweep: SweepContext, candidate: Candidate, cancel: Cancel): Promise<boolean> {
  const { driver } = sweep
  const { uses } = await lookAtLinks(sweep, candidate, cancel)
  if (uses.length === 0) return false
  // All of them: a mount that has read the link of one may be about to write it again.
  const digests = [...candidate.digests]
  const key = linkedAsKey(candidate.id)
  await driver.write(key, encodeRecord({ digests }), { ...cancel, reserve: true })
  // Collected meanwhile, all keys of the id were removed: this one must not stay.
  const { entries } = await driver.list(dataPrefix(candidate.id), { ...cancel, limit: 1 })
  if (entries[0]?.key === key) await driver.remove(key, cancel)
  return true
}

/** Whether there is anything of an id at all: an upload that never got a byte has nothing to collect. */
async function hasBytes({ driver }: SweepContext, { id }: Candidate, cancel: Cancel): Promise<boolean> {
  return (await driver.list(dataPrefix(id), { ...cancel, limit: 1 })).entries.length > 0
}

async function markAndDelete(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): Promise<ReadonlyMap<string, Verdict>> {
  const { driver, createId, limits } = sweep
  const verdicts = new Map<string, Verdict>()
  const marks = new Map(candidates.map((each) => [each, dataMarkKey(each.id, createId())] as const))
  const write = { ...cancel, reserve: true, durable: false }
  await mapConcurrently([...marks.values()], limits.maxParallelCalls, (mark) =>
    driver.write(mark, Buffer.alloc(0), write),
  )
  const second = await lookAtUses(sweep, candidates, cancel)
  await mapConcurrently([...second], limits.maxParallelCalls, async ([candidate, { verdict, uses }]) => {
    const mark = marks.get(candidate)
    if (verdict === undefined) await deleteCandidate(sweep, candidate, uses, cancel)
    else if (mark !== undefined) await driver.remove(mark, { ...cancel, durable: false })
    verdicts.set(candidate.id, verdict ?? 'gone')
  })
  return verdicts
}

/** Collects what is not needed of candidates with all their digests; tells of each id what became of it. In `look` mode `gone` means that it would be. */
export async function collect(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): Promise<ReadonlyMap<string, Verdict>> {
  const verdicts = new Map<string, Verdict>()
  const first = await lookAtUses(sweep, candidates, cancel)
  const unused: Candidate[] = []
  for (const [candidate, { verdict, uses }] of first) {
    if (verdict !== undefined) verdicts.set(candidate.id, verdict)
    else if (uses.length > 0 || (await hasBytes(sweep, candidate, cancel))) unused.push(candidate)
    else verdicts.set(candidate.id, 'gone')
  }
  if (sweep.mode === 'look')
    for (const candidate of unused) verdicts.set(candidate.id, await countOnly(sweep, candidate, cancel))
  else for (const [id, verdict] of await markAndDelete(sweep, unused, cancel)) verdicts.set(id, verdict)
  return verdicts
}

/** The same for bytes that links led to, of which other links may lead to the same. */
export async function collectLinked(
  sweep: SweepContext,
  found: readonly Candidate[],
  cancel: Cancel,
): Promise<ReadonlyMap<string, Verdict>> {
  const verdicts = new Map<string, Verdict>()
  const candidates: Candidate[] = []
  await mapConcurrently(found, sweep.limits.maxParallelCalls, async (each) => {
    const { candidate, isOpen } = await findDigests(sweep, each, cancel)
    // A closing request that was killed after its link left the session: it may come again, and rely on the bytes. It is ended when it is idle.
    if (candidate === undefined || isOpen) verdicts.set(each.id, 'leased')
    else candidates.push(candidate)
  })
  for (const [id, verdict] of await collect(sweep, candidates, cancel)) verdicts.set(id, verdict)
  return verdicts
}
