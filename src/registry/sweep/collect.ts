/**
 * Collects the bytes of uploads that nobody needs: look, mark, look again, delete. Whoever relies on bytes writes first and then looks for marks,
 * so at least one of the two sees the other. Many ids go through each step together.
 * Protocol: DESIGN section 4, "Collect an id".
 */
import { listAll } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { dataMarkKey, dataPrefix, isDataMark, isAboutData, linkedAsKey } from '../layout.ts'
import { encodeRecord } from '../records.ts'
import type { SweepContext } from './context.ts'
import { type Candidate, findDigests } from './digests.ts'
import { workOrCount } from './unreadable.ts'
import { judge, lookAtLinks, lookAtUses, lookInGroups, type Use, type Uses } from './uses.ts'

/** `named`: a manifest needs the bytes. `leased`: ask again later. `gone`: nothing of the bytes is left. */
export type Verdict = 'named' | 'leased' | 'gone'

/** Counts what would be freed; an upload and a garbage entry may both lead to the same bytes. */
async function countAll(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): Promise<ReadonlyMap<string, 'gone'>> {
  const { driver, counts, seenSince } = sweep
  for (const { id } of candidates) {
    if (seenSince.has(dataPrefix(id))) continue
    seenSince.set(dataPrefix(id), 0)
    counts.blobs++
    await workOrCount(sweep, async () => {
      for await (const { key } of listAll(driver, dataPrefix(id), cancel)) {
        if (isDataMark(key) || isAboutData(key)) continue
        counts.freedBytes += (await driver.stat(key, cancel))?.size ?? 0
      }
    })
  }
  return new Map(candidates.map(({ id }) => [id, 'gone']))
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
  // Collected meanwhile, all keys of the id were removed, or the last bytes were and the rest is about to be: this one must not stay.
  if (!(await hasSegments(sweep, candidate, cancel))) await driver.remove(key, cancel)
  return true
}

/** Whether there is anything of an id at all: an upload that never got a byte has nothing to collect. */
async function hasBytes({ driver }: SweepContext, { id }: Candidate, cancel: Cancel): Promise<boolean> {
  return (await driver.list(dataPrefix(id), { ...cancel, limit: 1 })).entries.length > 0
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
  const second = await lookAtUses(sweep, [...marks.keys()], cancel)
  const forEach = (work: (candidate: Candidate, look: NonNullable<ReturnType<Uses['get']>>) => Promise<void>) =>
    mapConcurrently([...second], limits.maxParallelCalls, ([candidate, look]) =>
      workOrCount(sweep, () => work(candidate, look)),
    )
  // First what is needed after all: somebody may wait for the mark to go.
  await forEach(async (candidate, { verdict }) => {
    const mark = marks.get(candidate)
    if (verdict === undefined || mark === undefined) return
    verdicts.set(candidate.id, verdict)
    await driver.remove(mark, { ...cancel, durable: false })
  })
  await forEach(async (candidate, { verdict, uses }) => {
    if (verdict !== undefined) return
    await deleteCandidate(sweep, candidate, uses, cancel)
    verdicts.set(candidate.id, 'gone')
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
  for await (const looks of lookInGroups(sweep, candidates, cancel)) {
    const unused: Candidate[] = []
    for (const [candidate, { verdict, uses }] of await judge(sweep, looks, cancel)) {
      const isThere = uses.length > 0 || (await workOrCount(sweep, () => hasBytes(sweep, candidate, cancel)))
      if (verdict !== undefined) verdicts.set(candidate.id, verdict)
      else if (isThere === true) unused.push(candidate)
      else verdicts.set(candidate.id, isThere === undefined ? 'leased' : 'gone')
    }
    const end = sweep.mode === 'look' ? countAll : markAndDelete
    for (const [id, verdict] of await end(sweep, unused, cancel)) verdicts.set(id, verdict)
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
