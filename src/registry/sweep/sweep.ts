/**
 * The sweep: frees what nothing needs any more, while clients push and pull. Any number of processes may run it at once, and any of them may die
 * in it: it keeps no state but what the store has. Protocol: DESIGN section 4, "Sweep".
 */
import { LRUCache } from 'lru-cache'
import type { Cancel } from '../../storage/driver.ts'
import { listPages } from '../../storage/list-all.ts'
import type { Context } from '../context.ts'
import { scratchPrefix } from '../layout.ts'
import { createContents, maxContentsBytes } from './contents.ts'
import { createCounts, type SweepContext, type SweepCounts, type SweepLimits } from './context.ts'
import { workThroughGarbage } from './entries.ts'
import { createGroupSize } from './group-size.ts'
import { takeBackPushes } from './pushes.ts'
import { endIdleUploads } from './uploads.ts'

export interface Sweep {
  /** Goes through everything once. `look` changes nothing and counts what would be done. `report` is told how far a run is. */
  run(mode: SweepContext['mode'], options?: Cancel & { readonly report?: SweepContext['report'] }): Promise<SweepCounts>
  /** Whether something was taken back of which a copy may still land: only a run after the copy window, of this very sweep, goes on with it. */
  awaitsCopies(): boolean
}

export interface SweepDependencies extends Context, Pick<SweepContext, 'tracksUntagged'> {
  readonly sweepLimits: SweepLimits
  /** A monotonic clock of this process, in ms. */
  readonly monotonicMs: () => number
}

/** Uploads and pushes of which this process remembers since when they are settled: some 15 MB. */
const maxSeen = 100_000

/** Blobs that are marked together at most. */
const maxMarked = 1000

/** What nobody asked for in this time was settled by another process; in ms. */
const forgetAfterMs = 86_400_000

/** A start-up check takes a second; one whose process is paused for longer than this fails, and is done again. In ms. */
const scratchAgeMs = 3_600_000

/** Removes what start-up checks left whose process was killed. */
async function tidyScratch({ driver }: SweepContext, cancel: Cancel): Promise<number> {
  let removed = 0
  for await (const page of listPages(driver, scratchPrefix, { ...cancel, times: true })) {
    for (const { key, modified = 0 } of page.entries) {
      if (page.now - modified < scratchAgeMs) continue
      await driver.remove(key, { ...cancel, durable: false })
      removed++
    }
  }
  return removed
}

/** A sweep of the local registry; keep it between runs, it remembers what never changes. */
export function createSweep(dependencies: SweepDependencies): Sweep {
  const contents = createContents(maxContentsBytes)
  // By size and not by `max`, which would allocate all of it at once: 10 ms.
  const createSeen = (): LRUCache<string, number> =>
    new LRUCache({
      maxSize: maxSeen,
      sizeCalculation: () => 1,
      ttl: forgetAfterMs,
      perf: { now: dependencies.monotonicMs },
    })
  const swept = createSeen()
  return {
    async run(mode, { report = () => undefined, ...cancel } = {}) {
      const counts = createCounts()
      // A run that only looks remembers what it has counted, and nothing beyond itself.
      const seenSince = mode === 'sweep' ? swept : createSeen()
      const failures = new Set<string>()
      const groupSize = createGroupSize(maxMarked)
      const run = { counts, failures, mode, contents, seenSince, groupSize, report }
      const sweep: SweepContext = { ...dependencies, ...run }
      report('pushes', 0)
      await takeBackPushes(sweep, cancel)
      report('garbage', 0)
      await workThroughGarbage(sweep, cancel)
      report('uploads', 0)
      await endIdleUploads(sweep, cancel)
      report('leftovers', 0)
      if (mode === 'sweep') counts.leftovers = (await tidyScratch(sweep, cancel)) + (await sweep.driver.tidy(cancel))
      return counts
    },
    awaitsCopies: () => dependencies.driver.promotion === 'copy' && swept.size > 0,
  }
}
