/**
 * Collects the bytes of uploads that nobody needs: look, mark, look again, delete. Whoever relies on bytes writes first and then looks for marks,
 * so at least one of the two sees the other. Many ids go through each step together.
 * Protocol: DESIGN section 4, "Collect an id".
 */
import { listAll } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently, slicesOf } from '../concurrently.ts'
import { dataMarkKey, dataPrefix, isDataMark, isAboutData, linkedAsKey } from '../layout.ts'
import { encodeRecord } from '../records.ts'
import type { SweepContext } from './context.ts'
import { type Candidate, findDigests } from './digests.ts'
import { workOrCount } from './unreadable.ts'
import { type Judged, lookAtLinks, lookAtUses } from './uses.ts'

/** `named`: a manifest needs the bytes. `leased`: ask again later. `gone`: nothing of the bytes is left. */
export type Verdict = 'named' | 'leased' | 'gone'

/** Candidates that are marked together: a mark that must go again stands for a second or so, shorter than a request waits for it. */
const maxMarked = 1000

/** Counts what would be freed; an upload and a garbage entry may both lead to the same bytes. */
function countAll({ counts, seenSince }: SweepContext, unused: readonly Judged[]): void {
  for (const { candidate, segments } of unused) {
    const prefix = dataPrefix(candidate.id)
    if (seenSince.has(prefix)) continue
    seenSince.set(prefix, 0)
    counts.blobs++
    counts.freedBytes += segments.reduce((sum, { size }) => sum + size, 0)
  }
}

/** Deletes the bytes, then all marks and renewals, then the links: an id once dead is never named again. `durable`: the last key of the id, and so the others. */
async function deleteCandidate(
  sweep: SweepContext,
  { candidate, segments, uses }: Judged,
  durable: boolean,
  cancel: Cancel,
): Promise<void> {
  const { driver, counts } = sweep
  const hasty = { ...cancel, durable: false }
  for (const { key, size } of segments) {
    if ((await driver.remove(key, hasty)) === 'removed') counts.freedBytes += size
  }
  // Listed again: who renews after this finds the bytes gone, and removes what he wrote.
  let last: string | undefined
  for await (const { key } of listAll(driver, dataPrefix(candidate.id), cancel)) {
    if (last !== undefined) await driver.remove(last, hasty)
    last = key
  }
  if (last !== undefined) await driver.remove(last, { ...cancel, durable })
  // One that comes back after power loss names no bytes.
  for (const { key, version } of uses) await driver.remove(key, { ...hasty, ifUnchanged: version })
  if (segments.length > 0) counts.blobs++
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
  // Collected meanwhile, all keys of the id were removed, or the last bytes were and the rest is about to be: this one must not stay.
  if (!(await hasSegments(sweep, candidate, cancel))) await driver.remove(key, cancel)
  return true
}

/** Whether bytes are left: marks and what is said of them may be there without. */
async function hasSegments({ driver }: SweepContext, { id }: Candidate, cancel: Cancel): Promise<boolean> {
  for await (const { key } of listAll(driver, dataPrefix(id), cancel)) {
    if (!isDataMark(key) && !isAboutData(key)) return true
  }
  return false
}

/** Marks all, looks again, and deletes what is still not needed. What the store fails stays `leased`, with its mark when its bytes are partly gone. */
async function markAndDelete(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): Promise<ReadonlyMap<string, Verdict>> {
  const { driver, createId, limits } = sweep
  const verdicts = new Map<string, Verdict>(candidates.map(({ id }) => [id, 'leased']))
  const marks = new Map<Candidate, string>()
  const write = { ...cancel, reserve: true, durable: false }
  await mapConcurrently(candidates, limits.maxParallelCalls, async (candidate) => {
    const mark = dataMarkKey(candidate.id, createId())
    const written = await workOrCount(sweep, () => driver.write(mark, Buffer.alloc(0), write))
    if (written !== undefined) marks.set(candidate, mark)
  })
  for await (const second of lookAtUses(sweep, [...marks.keys()], cancel)) {
    const forEach = (these: readonly Judged[], work: (judged: Judged) => Promise<void>) =>
      mapConcurrently(these, limits.maxParallelCalls, (judged) => workOrCount(sweep, () => work(judged)))
    // First what is needed after all: somebody may wait for the mark to go.
    await forEach(second, async ({ candidate, verdict }) => {
      const mark = marks.get(candidate)
      if (verdict === undefined || mark === undefined) return
      verdicts.set(candidate.id, verdict)
      await driver.remove(mark, { ...cancel, durable: false })
    })
    const erase = (durable: boolean) => async (judged: Judged) => {
      await deleteCandidate(sweep, judged, durable, cancel)
      verdicts.set(judged.candidate.id, 'gone')
    }
    // The last one durably, and with it those before: their claims, which lead to what comes back after power loss, go after that.
    const unused = second.filter(({ verdict }) => verdict === undefined)
    await forEach(unused.slice(0, -1), erase(false))
    await forEach(unused.slice(-1), erase(true))
  }
  return verdicts
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Collects what is not needed of candidates with all their digests; tells of each id what became of it. In `look` mode `gone` means that it would be. */
export async function collect(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): Promise<ReadonlyMap<string, Verdict>> {
  const verdicts = new Map<string, Verdict>()
  const unused: { readonly candidate: Candidate; readonly repository: string }[] = []
  for await (const first of lookAtUses(sweep, candidates, cancel)) {
    for (const { candidate, verdict } of first) verdicts.set(candidate.id, verdict ?? 'gone')
    // An upload that never got a byte has nothing to collect.
    const found = first.filter(({ verdict, isThere }) => verdict === undefined && isThere)
    if (sweep.mode === 'look') countAll(sweep, found)
    else for (const { candidate, uses } of found) unused.push({ candidate, repository: uses[0]?.repository ?? '' })
  }
  // Few repositories have to be read for each group that is marked together.
  const sorted = unused.toSorted((a, b) => compare(a.repository, b.repository)).map(({ candidate }) => candidate)
  for (const group of slicesOf(sorted, maxMarked)) {
    for (const [id, verdict] of await markAndDelete(sweep, group, cancel)) verdicts.set(id, verdict)
  }
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
    const found = await workOrCount(sweep, () => findDigests(sweep, each, cancel))
    // A closing request that was killed after its link left the session: it may come again, and rely on the bytes. It is ended when it is idle.
    if (found?.candidate === undefined || found.isOpen) verdicts.set(each.id, 'leased')
    else candidates.push(found.candidate)
  })
  for (const [id, verdict] of await collect(sweep, candidates, cancel)) verdicts.set(id, verdict)
  return verdicts
}
