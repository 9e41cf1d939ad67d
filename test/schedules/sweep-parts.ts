/** The parts of a sweep, each to be run by itself: schedules stay small enough to be searched. */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../../src/oci/digest.ts'
import { collect, type Verdict } from '../../src/registry/sweep/collect.ts'
import { createCounts, type SweepContext } from '../../src/registry/sweep/context.ts'
import { workThroughGarbage } from '../../src/registry/sweep/entries.ts'
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
    contents: new LRUCache({ max: 100 }),
    seenSince: new LRUCache({ max: 100 }),
  }
  return {
    pushes: () => takeBackPushes(sweep, {}),
    garbage: () => workThroughGarbage(sweep, {}),
    uploads: () => endIdleUploads(sweep, {}),
    collect: async (id, digest) => (await collect(sweep, [{ id, digests: new Set([digest]) }], {})).get(id),
    async all() {
      await takeBackPushes(sweep, {})
      await workThroughGarbage(sweep, {})
      await endIdleUploads(sweep, {})
    },
  }
}
