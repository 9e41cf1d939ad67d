/**
 * Collects the bytes of uploads that nobody needs: look, mark, look again, delete. Whoever relies on bytes writes first and then looks for marks,
 * so at least one of the two sees the other. Many ids go through each step together.
 * Protocol: DESIGN section 4, "Collect an id".
 */
import { listAll } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { createSuccession, mapConcurrently } from '../concurrently.ts'
import { dataMarkKey, dataPrefix, isDataMark, isAboutData, linkedAsKey } from '../layout.ts'
import { encodeRecord } from '../records.ts'
import type { SweepContext } from './context.ts'
import { type Candidate, findDigests } from './digests.ts'
import { workOrCount } from './unreadable.ts'
import { type Judged, lookAtLinks, lookAtUses } from './uses.ts'

/** `named`: a manifest needs the bytes. `leased`: ask again later. `gone`: nothing of the bytes is left. */
export type Verdict = 'named' | 'leased' | 'gone'

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

/** Deletes the bytes, then what else is there of the id: marks, renewals, and bytes that came after the look, which nobody can name. */
async function eraseBytes(sweep: SweepContext, { candidate, segments }: Judged, cancel: Cancel): Promise<void> {
  const { driver, counts } = sweep
  const hasty = { ...cancel, durable: false }
  let wasThere = false
  for (const { key, size } of segments) {
    if ((await driver.remove(key, hasty)) !== 'removed') continue
    counts.freedBytes += size
    wasThere = true
  }
  // Listed again: who renews after this finds the bytes gone, and removes what he wrote.
  for await (const { key } of listAll(driver, dataPrefix(candidate.id), cancel)) await driver.remove(key, hasty)
  if (wasThere) counts.blobs++
}

/**
 * Deletes the bytes, and when these are gone for good, the links: an id once dead is never named again. A store that looks before it removes might take a
 * link away that was just made to other bytes: there they stay, dead, until a push replaces them or a scrub removes them. Returns the ids of which
 * nothing else is left.
 */
async function erase(sweep: SweepContext, unused: readonly Judged[], cancel: Cancel): Promise<ReadonlySet<string>> {
  const { driver, limits } = sweep
  const dead: Judged[] = []
  await mapConcurrently(unused, limits.maxParallelCalls, (judged) =>
    workOrCount(sweep, async () => {
      await eraseBytes(sweep, judged, cancel)
      dead.push(judged)
    }),
  )
  const gone = new Set<string>()
  await workOrCount(sweep, async () => {
    // Bytes that power loss brings back must be led to: by their links, or by the claims and entries that go after this.
    if (dead.length > 0) await driver.settle('data/', cancel)
    await mapConcurrently(dead, limits.maxParallelCalls, ({ candidate, uses }) =>
      workOrCount(sweep, async () => {
        // A link that power loss brings back names no bytes.
        const options = { ...cancel, durable: false }
        const removable = driver.removal === 'exact' ? uses : []
        for (const { key, version } of removable) await driver.remove(key, { ...options, ifUnchanged: version })
        gone.add(candidate.id)
      }),
    )
  })
  return gone
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

/**
 * Marks all and looks again; yields what is still not needed, whose marks stay. What the store fails stays `leased`, with its mark when its bytes are
 * partly gone.
 */
async function* markAndLook(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  verdicts: Map<string, Verdict>,
  cancel: Cancel,
): AsyncGenerator<readonly Judged[]> {
  const { driver, createId, limits, groupSize, monotonicMs } = sweep
  for (const { id } of candidates) verdicts.set(id, 'leased')
  const marks = new Map<Candidate, string>()
  const write = { ...cancel, reserve: true, durable: false }
  const start = monotonicMs()
  await mapConcurrently(candidates, limits.maxParallelCalls, async (candidate) => {
    const mark = dataMarkKey(candidate.id, createId())
    const written = await workOrCount(sweep, () => driver.write(mark, Buffer.alloc(0), write))
    if (written !== undefined) marks.set(candidate, mark)
  })
  for await (const second of lookAtUses(sweep, [...marks.keys()], cancel)) {
    // First what is needed after all: somebody may wait for the mark to go.
    await mapConcurrently(second, limits.maxParallelCalls, ({ candidate, verdict }) =>
      workOrCount(sweep, async () => {
        const mark = marks.get(candidate)
        if (verdict === undefined || mark === undefined) return
        verdicts.set(candidate.id, verdict)
        await driver.remove(mark, { ...cancel, durable: false })
      }),
    )
    groupSize.stood(monotonicMs() - start)
    yield second.filter(({ verdict }) => verdict === undefined)
  }
}

/** In groups, the candidates of one repository beside each other: fewer repositories have to be read for each. */
function* groupByRepository({ groupSize }: SweepContext, candidates: readonly Candidate[]) {
  const nameOf = ({ repository }: Candidate): string => repository ?? ''
  const sorted = candidates.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0))
  for (let start = 0; start < sorted.length;) {
    const group = sorted.slice(start, start + groupSize.now())
    start += group.length
    yield group
  }
}

/** Collects what is not needed of candidates with all their digests; tells of each id what became of it. In `look` mode `gone` means that it would be. */
export async function collect(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): Promise<ReadonlyMap<string, Verdict>> {
  const verdicts = new Map<string, Verdict>()
  const erasing = createSuccession()
  try {
    for (const group of groupByRepository(sweep, candidates)) {
      const unused: Candidate[] = []
      for await (const first of lookAtUses(sweep, group, cancel)) {
        for (const { candidate, verdict } of first) verdicts.set(candidate.id, verdict ?? 'gone')
        // An upload that never got a byte has nothing to collect.
        const found = first.filter(({ verdict, isThere }) => verdict === undefined && isThere)
        if (sweep.mode === 'look') countAll(sweep, found)
        else unused.push(...found.map(({ candidate }) => candidate))
      }
      for await (const dead of markAndLook(sweep, unused, verdicts, cancel)) {
        // It takes the disk longer than the processor: the next group is looked at meanwhile.
        await erasing.next(async () => {
          for (const id of await erase(sweep, dead, cancel)) verdicts.set(id, 'gone')
        })
      }
    }
  } catch (error) {
    // Nothing goes on behind an end; what stopped the look is told.
    await erasing.end().catch(() => undefined)
    throw error
  }
  await erasing.end()
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
