/** What the parts of a sweep share: the registry's context, the sweep's own times, what it counts, and what this process has seen so far. */
import type { LRUCache } from 'lru-cache'
import type { RepositoryName } from '../../oci/name.ts'
import type { Context } from '../context.ts'
import type { Contents } from './contents.ts'
import type { GroupSize } from './group-size.ts'

/** Times and sizes of a sweep; the configuration has their defaults and reasons. */
export interface SweepLimits {
  /** Garbage entries younger than this are left alone, in ms. */
  readonly garbageAgeMs: number
  /** An upload whose newest key is older than this is ended, in ms. */
  readonly uploadIdleMs: number
  /** After this time a server-side copy that was begun has landed or failed, in ms. */
  readonly copyWindowMs: number
  /** Keys of uploads that are worked on together, and garbage entries with what they name. */
  readonly batchSize: number
}

/** What one run did. Counts of things, `freedBytes` in bytes. */
export interface SweepCounts {
  pushes: number
  uploads: number
  tags: number
  hints: number
  marks: number
  blobs: number
  freedBytes: number
  /** Entries that were looked at and wait for a lease or for what they were written for. */
  waiting: number
  /** Records that cannot be read: the scrub mends them, what they may concern is left alone. */
  unreadable: number
  /** Works that the store failed: what they concern is left alone, and the next run tries again. */
  failed: number
  /** What the store said of the first. */
  failure?: string
  /** Leftovers of the driver. */
  leftovers: number
}

export function createCounts(): SweepCounts {
  return {
    pushes: 0,
    uploads: 0,
    tags: 0,
    hints: 0,
    marks: 0,
    blobs: 0,
    freedBytes: 0,
    waiting: 0,
    unreadable: 0,
    failed: 0,
    leftovers: 0,
  }
}

/** What a run is at. */
export type SweepPhase = 'pushes' | 'garbage' | 'uploads' | 'leftovers'

export interface SweepContext extends Context {
  readonly sweepLimits: SweepLimits
  readonly counts: SweepCounts
  /** What the store failed to do, each once; absent in a scrub, which ends for no such thing. */
  readonly failures?: Set<string> | undefined
  /** Whether retention wants to know since when a manifest of this repository has been untagged; absent: nowhere. */
  readonly tracksUntagged?: ((repository: RepositoryName) => boolean) | undefined
  /** `look` changes nothing: it counts what a run would do. */
  readonly mode: 'sweep' | 'look'
  /** A monotonic clock of this process, in ms. */
  readonly monotonicMs: () => number
  readonly contents: Contents
  /** How many blobs are marked together. */
  readonly groupSize: GroupSize
  /** Called as a run goes on; `fraction` of the phase, from 0 to 1. */
  readonly report: (phase: SweepPhase, fraction: number) => void
  /** Since when this process has seen a key in the state that the copy window is counted from. */
  readonly seenSince: LRUCache<string, number>
}

/** How far through a listing of random names this one is, from 0 to 1: their first digits are spread evenly. */
export function fractionOf(name: string): number {
  const digits = Number.parseInt(name.slice(0, 4), 16)
  return Number.isNaN(digits) ? 0 : digits / 0x1_00_00
}
