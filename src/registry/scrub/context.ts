/** What the parts of a scrub share: what it may do, what it looks for, and whom it tells. */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import type { Context } from '../context.ts'
import type { SweepContext } from '../sweep/context.ts'
import type { Pace } from './pace.ts'

/** What a scrub may do. Each does what the one before does, too. */
export type ScrubMode = 'look' | 'repair' | 'delete damaged'

/** Everything a scrub looks for, with what it means; the report prints it. */
export const findingKinds = {
  damaged: 'bytes that are not what their digest says',
  dangling: 'links to bytes that are gone',
  unused: 'bytes that nothing names, and of which the sweep does not know',
  orphan: 'what a killed process left behind for bytes that are gone',
  kept: 'damaged bytes that are kept for you',
  condemned: 'marks of a deletion that was never finished; a push of the same content heals it',
  unreadable: 'records that cannot be read',
  'wrong manifest': 'manifests that are not what their digest says',
  broken: 'manifests that name what is not there',
  'dead tag': 'tags of manifests that are gone',
  'dead hint': 'notes that lead nowhere',
  'missing hint': 'tags and manifests without the note by which they are found',
  unknown: 'keys that Berth does not write',
} as const

export type FindingKind = keyof typeof findingKinds

/** One thing that is not as it should be. */
export interface Finding {
  readonly kind: FindingKind
  /** Where it lies in the store. */
  readonly key: string
  readonly repository?: RepositoryName
  readonly digest?: Digest
  /** What exactly is wrong, in words. */
  readonly detail?: string
  /** `repaired`: it is as it should be, or a push makes it so. `deleted`: damaged content is gone. `found`: nothing was done. */
  readonly outcome: 'found' | 'repaired' | 'deleted'
}

export interface ScrubContext extends Context {
  readonly mode: ScrubMode
  /** To ask the sweep's questions; it changes nothing. */
  readonly sweep: SweepContext
  /** What is younger than this may belong to somebody at work, in ms. */
  readonly idleMs: number
  readonly pace: Pace
  readonly tell: (finding: Finding) => void
  /** Called when everything up to this key, in byte order, is done. */
  readonly reach: (key: string) => void
}

/** How many things a scrub works on together. */
export const batchSize = 64

/** Whether this mode does what that one does. */
export function mayRepair({ mode }: ScrubContext): boolean {
  return mode !== 'look'
}

/** The outcome of what any repair mends. */
export function repairOutcome(scrub: ScrubContext): 'found' | 'repaired' {
  return mayRepair(scrub) ? 'repaired' : 'found'
}
