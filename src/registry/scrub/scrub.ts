/**
 * The scrub: reads everything in the store and finds what neither requests nor the sweep can see. It goes through the keys in byte order while clients push and
 * pull, holds little in memory, and can be stopped anywhere: a position is the last key that is done.
 */
import { LRUCache } from 'lru-cache'
import type { Cancel } from '../../storage/driver.ts'
import { createContents, maxContentsBytes } from '../sweep/contents.ts'
import { createCounts, type SweepContext } from '../sweep/context.ts'
import { createGroupSize } from '../sweep/group-size.ts'
import type { SweepDependencies } from '../sweep/sweep.ts'
import { scrubBlobs } from './blobs.ts'
import { type Finding, type FindingKind, type ScrubContext, type ScrubMode } from './context.ts'
import { scrubData } from './data.ts'
import { scrubJournal } from './journals.ts'
import { scrubManifests } from './manifests.ts'
import { scrubNamed, scrubTags } from './names.ts'
import { createPace } from './pace.ts'

type Phase = (scrub: ScrubContext, after: string, cancel: Cancel) => Promise<void>

const journal =
  (prefix: string): Phase =>
  (scrub, after, cancel) =>
    scrubJournal(scrub, prefix, after, cancel)

/** What is gone through, in byte order, with what each is. `auth/` has nothing yet. */
const phases = {
  'blobs/': { what: 'blobs', run: scrubBlobs },
  'data/': { what: 'bytes that nobody links', run: scrubData },
  'garbage/': { what: 'entries of the sweep', run: journal('garbage/') },
  'manifests/': { what: 'manifests', run: scrubManifests },
  'named/': { what: 'what names manifests', run: scrubNamed },
  'pushes/': { what: 'pushes', run: journal('pushes/') },
  'scratch/': { what: 'leftovers', run: journal('scratch/') },
  'tags/': { what: 'tags', run: scrubTags },
  'uploads/': { what: 'uploads', run: journal('uploads/') },
} as const satisfies Readonly<Record<string, { readonly what: string; readonly run: Phase }>>

/** What one run found. */
export interface ScrubCounts {
  /** Things found, by kind. */
  readonly found: Readonly<Record<FindingKind, number>>
  /** Bytes of blobs that were read. */
  readonly bytes: number
}

export interface ScrubOptions extends Cancel {
  /** Of blobs, a second. Default: as fast as the store gives them. */
  readonly bytesPerSecond?: number
  /** Goes on behind this position of an earlier run. */
  readonly from?: string | undefined
  readonly onFinding?: (finding: Finding) => void
  /** Told where the run is: what it is at, how far in that (0 to 1), and the position to go on from. */
  readonly report?: (what: string, fraction: number, position: string) => void
}

export interface Scrub {
  run(mode: ScrubMode, options?: ScrubOptions): Promise<ScrubCounts>
}

/** How far through its prefix a key is, from 0 to 1: exact for random names, a rough guess for names of repositories. */
export function fractionOf(key: string): number {
  const [top, second = '', , fourth = ''] = key.split('/')
  const name = top === 'blobs' ? fourth : second
  const radix = top === 'manifests' || top === 'named' || top === 'tags' ? 36 : 16
  const digits = Number.parseInt(name.slice(0, 2), radix)
  return Number.isNaN(digits) ? 0 : digits / radix ** 2
}

/** Whether a text can be a position: a key that lies in one of the phases. */
export function isPosition(text: string): boolean {
  return Object.keys(phases).some((prefix) => text.startsWith(prefix))
}

function noFindings(): Record<FindingKind, number> {
  return {
    damaged: 0,
    dangling: 0,
    unused: 0,
    orphan: 0,
    kept: 0,
    condemned: 0,
    unreadable: 0,
    'wrong manifest': 0,
    broken: 0,
    'dead tag': 0,
    'dead hint': 0,
    'missing hint': 0,
    unknown: 0,
  }
}

function createSweepQuestions(dependencies: SweepDependencies): SweepContext {
  return {
    ...dependencies,
    counts: createCounts(),
    mode: 'look',
    contents: createContents(maxContentsBytes),
    seenSince: new LRUCache({ max: 1 }),
    groupSize: createGroupSize(1),
    report: () => undefined,
  }
}

/** A scrub of the local registry, with the times of its sweep. */
export function createScrub(dependencies: SweepDependencies): Scrub {
  const { limits, sweepLimits, monotonicMs, sleep } = dependencies
  return {
    async run(mode, options = {}) {
      const { bytesPerSecond = Number.POSITIVE_INFINITY, from = '', signal, onFinding, report } = options
      const found = noFindings()
      let bytes = 0
      let what = ''
      const pace = createPace(bytesPerSecond, monotonicMs, sleep)
      const scrub: ScrubContext = {
        ...dependencies,
        mode,
        sweep: createSweepQuestions(dependencies),
        idleMs: Math.max(limits.leaseMs, sweepLimits.uploadIdleMs, limits.pushIdleMs),
        pace: (count, cancel) => {
          bytes += count
          return pace(count, cancel)
        },
        tell(finding) {
          found[finding.kind]++
          onFinding?.(finding)
        },
        reach: (key) => report?.(what, fractionOf(key), key),
      }
      for (const [prefix, phase] of Object.entries(phases)) {
        // Behind all keys of this prefix.
        if (from >= `${prefix}\x7f`) continue
        what = phase.what
        scrub.reach(from.startsWith(prefix) ? from : prefix)
        await phase.run(scrub, from.startsWith(prefix) ? from : prefix, { signal })
      }
      return { found, bytes }
    },
  }
}
