/** The parts of a sweep, each to be run by itself: schedules stay small enough to be searched. */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../../src/oci/digest.ts'
import { collect, type Verdict } from '../../src/registry/sweep/collect.ts'
import { createContents } from '../../src/registry/sweep/contents.ts'
import { createCounts, type SweepContext } from '../../src/registry/sweep/context.ts'
import { workThroughGarbage } from '../../src/registry/sweep/entries.ts'
import { createGroupSize } from '../../src/registry/sweep/group-size.ts'
import { takeBackPushes } from '../../src/registry/sweep/pushes.ts'
import type { SweepDependencies } from '../../src/registry/sweep/sweep.ts'
import { endIdleUploads } from '../../src/registry/sweep/uploads.ts'

export interface SweepParts {
  pushes(): Promise<void>
  garbage(): Promise<void>
  uploads(): Promise<void>
  collect(id: string, digest: Digest): Promise<Verdict | undefined>
  all(): Promise<void>
}

export function createSweepParts(dependencies: SweepDependencies): SweepParts {
  const sweep: SweepContext = {
    ...dependencies,
    counts: createCounts(),
    mode: 'sweep',
    report: () => undefined,
    groupSize: createGroupSize(2),
    contents: createContents(30_000),
    seenSince: new LRUCache({ maxSize: 100, sizeCalculation: () => 1 }),
  }
  /** No schedule damages a record: what a sweep takes for unreadable is a defect of ours. */
  const whole = async <T>(work: Promise<T>): Promise<T> => {
    const result = await work
    const { unreadable, failed } = sweep.counts
    if (unreadable + failed > 0) throw new Error(`the sweep could not read ${unreadable}, and failed ${failed} times`)
    return result
  }
  const pushes = (): Promise<void> => whole(takeBackPushes(sweep, {}))
  const garbage = (): Promise<void> => whole(workThroughGarbage(sweep, {}))
  const uploads = (): Promise<void> => whole(endIdleUploads(sweep, {}))
  return {
    pushes,
    garbage,
    uploads,
    collect: async (id, digest) => (await whole(collect(sweep, [{ id, digests: new Set([digest]) }], {}))).get(id),
    async all() {
      await pushes()
      await garbage()
      await uploads()
    },
  }
}
