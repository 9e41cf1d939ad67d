/**
 * Ends uploads: the session is taken back first, then what could still publish the bytes, then the bytes are collected. The claims stay until then:
 * they say under which digests the bytes may be linked. Protocol: DESIGN section 4, "End an upload".
 */
import type { Digest } from '../../oci/digest.ts'
import { listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { sessionKey, uploadIdOf, uploadPrefix, uploadsPrefix } from '../layout.ts'
import { collect, keepDigests, type Verdict } from './collect.ts'
import { fractionOf, type SweepContext } from './context.ts'
import { hasWaited } from './copy-window.ts'
import { type Candidate, findDigests } from './digests.ts'
import { workOrCount } from './unreadable.ts'

/** An upload that was taken back: nothing of it can be published any more. */
interface Ended {
  readonly id: string
  /** Absent while a copy that was begun before may still land, and when it cannot be read under which digests the bytes may be linked. */
  readonly candidate: Candidate | undefined
  /** Claims, and what else goes with them. */
  readonly claims: readonly string[]
}

async function takeBack(sweep: SweepContext, known: Candidate, cancel: Cancel): Promise<Ended> {
  const { driver, mode } = sweep
  const { id } = known
  if (mode === 'sweep') await driver.remove(sessionKey(id), cancel)
  const { candidate, claims, entries } = await findDigests(sweep, known, cancel)
  if (mode === 'sweep') for (const key of entries) await driver.remove(key, cancel)
  // A closing request claims, then looks for the session, then publishes: without a claim nothing was published, and nothing will lead here a second time.
  const hasLanded =
    driver.promotion === 'move' || mode === 'look' || claims.length === 0 || hasWaited(sweep, uploadPrefix(id))
  return { id, candidate: hasLanded ? candidate : undefined, claims }
}

/** Ends these uploads (`digests`: what else their bytes may be linked as) and tells what became of their bytes. */
export async function endUploads(
  sweep: SweepContext,
  uploads: readonly Candidate[],
  cancel: Cancel,
): Promise<ReadonlyMap<string, Verdict>> {
  const { driver, limits, mode } = sweep
  const ended = await mapConcurrently(uploads, limits.maxParallelCalls, async (each): Promise<Ended> => {
    const taken = await workOrCount(sweep, () => takeBack(sweep, each, cancel))
    return taken ?? { id: each.id, candidate: undefined, claims: [] }
  })
  const verdicts = new Map<string, Verdict>(ended.map(({ id }) => [id, 'leased']))
  const candidates = ended.map(({ candidate }) => candidate).filter((candidate) => candidate !== undefined)
  for (const [id, verdict] of await collect(sweep, candidates, cancel)) verdicts.set(id, verdict)
  if (mode === 'look') return verdicts
  const claims = new Map(ended.map((each) => [each.id, each.claims]))
  await mapConcurrently(candidates, limits.maxParallelCalls, async (candidate) => {
    if (verdicts.get(candidate.id) !== 'named' || claims.get(candidate.id)?.length === 0) return
    const kept = await workOrCount(sweep, () => keepDigests(sweep, candidate, cancel))
    if (kept !== true) verdicts.set(candidate.id, 'leased')
  })
  const done = ended.filter(({ id }) => verdicts.get(id) !== 'leased')
  await mapConcurrently(
    done.flatMap((each) => each.claims),
    limits.maxParallelCalls,
    (key) => workOrCount(sweep, () => driver.remove(key, { ...cancel, durable: false })),
  )
  return verdicts
}

/** A folder reads and sorts all names for a page, so pages are large: some 10 MB of memory each. */
const pageSize = 50_000

/** Ids of uploads of which nothing was written for a while, in batches of about so many keys. */
async function* findIdle({ driver, sweepLimits }: SweepContext, cancel: Cancel): AsyncGenerator<readonly string[]> {
  const { uploadIdleMs, batchSize } = sweepLimits
  const batches: string[][] = [[]]
  // All of their keys are held together.
  let keys = 0
  let current: { readonly id: string; newest: number; keys: number } | undefined
  let now = 0
  const close = (): void => {
    if (current === undefined || now - current.newest < uploadIdleMs) return
    if (keys + current.keys > batchSize && keys > 0) {
      batches.push([])
      keys = 0
    }
    keys += current.keys
    batches.at(-1)?.push(current.id)
  }
  for await (const page of listPages(driver, uploadsPrefix, { ...cancel, times: true, pageSize })) {
    now = page.now
    for (const { key, modified = now } of page.entries) {
      const id = uploadIdOf(key)
      if (current?.id === id) {
        current.newest = Math.max(current.newest, modified)
        current.keys++
        continue
      }
      close()
      current = { id, newest: modified, keys: 1 }
    }
    yield* batches.splice(0, batches.length - 1)
  }
  close()
  yield* batches.filter((batch) => batch.length > 0)
}

/** Ends uploads that are idle, with a session or without. */
export async function endIdleUploads(sweep: SweepContext, cancel: Cancel): Promise<void> {
  for await (const ids of findIdle(sweep, cancel)) {
    const uploads = ids.map((id) => ({ id, digests: new Set<Digest>() }))
    const verdicts = await endUploads(sweep, uploads, cancel)
    for (const verdict of verdicts.values()) {
      if (verdict === 'leased') sweep.counts.waiting++
      else sweep.counts.uploads++
    }
    sweep.report('uploads', fractionOf(ids.at(-1) ?? ''))
  }
}
