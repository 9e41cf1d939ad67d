/** What every part of the local registry works with. Nothing in it changes while the registry runs. */
import type { Driver } from '../storage/driver.ts'
import type { ImmutableTags } from './immutable.ts'
import type { KeptRecords } from './kept.ts'

/** Limits and times of the registry; the configuration has their defaults and reasons. */
export interface RegistryLimits {
  /** How long a blob that a client was told about is safe from collection, in ms; renewed at half. */
  readonly leaseMs: number
  /** A mark younger than this may still be taken back, in ms. */
  readonly freshMarkMs: number
  /** How long a request waits for a fresh mark to go, in ms. */
  readonly markWaitMs: number
  /** After this time a push that has not ended belongs to a process that is gone, in ms: a sweep takes it back. */
  readonly pushIdleMs: number
  /** Chunks of one upload: every claim lists those before it. */
  readonly maxUploadChunks: number
  /** Nested objects and arrays of a manifest. */
  readonly maxManifestDepth: number
  /** Descriptors of one manifest. */
  readonly maxManifestReferences: number
  /** Upload sessions that one process keeps open. */
  readonly maxOpenUploads: number
  /** Bytes of one blob. */
  readonly maxBlobBytes: number
  /** Uploads whose running hash is kept between two chunks. */
  readonly maxRunningHashes: number
  /** Driver calls that one request has under way at once. */
  readonly maxParallelCalls: number
}

/** What the registry does, for those who count it. */
export type CountedEvent = 'lease renewed' | 'upload started' | 'upload closed' | 'upload cancelled'

export interface Context {
  readonly driver: Driver
  readonly limits: RegistryLimits
  /** Which tags are created once; absent: none. */
  readonly immutableTags?: ImmutableTags | undefined
  /** A name that is never used again: a version 4 UUID. */
  readonly createId: () => string
  /** The wall clock in ms since 1970: for the record only, no protocol depends on it. */
  readonly now: () => number
  /** Records that requests have read; absent: each is read anew. */
  readonly kept?: KeptRecords | undefined
  /** Takes what is counted. */
  readonly count?: ((event: CountedEvent) => void) | undefined
  /** Resolves after so many ms; rejects when aborted. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
}
