/** What the parts of a retention run share: what is decided, what is counted, and in which words. */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName, Tag } from '../../oci/name.ts'
import type { Context } from '../context.ts'

/** What was decided of a tag or an untagged manifest, by which rule, and why. */
export interface Decision {
  readonly repository: RepositoryName
  readonly what: { readonly kind: 'tag'; readonly tag: Tag } | { readonly kind: 'manifest'; readonly digest: Digest }
  /** `wait`: not yet. In a run that removes, `remove` is told once it is done. */
  readonly verdict: 'remove' | 'keep' | 'wait'
  readonly rule: string
  readonly reason: string
}

/** What one run did. */
export interface RetentionCounts {
  /** Repositories that a rule covers. */
  repositories: number
  /** Tags and manifests that were removed. */
  tags: number
  manifests: number
  /** Untagged manifests that go later. */
  waiting: number
  /** Records that cannot be read: the scrub mends them, what they may concern stays. */
  unreadable: number
  /** Works that the store failed: what they concern stays, and the next run tries again. */
  failed: number
  /** What the store said of the first. */
  failure?: string
}

export interface RetentionContext extends Context {
  /** `look` changes nothing: it decides and counts what a run would remove. */
  readonly mode: 'remove' | 'look'
  readonly counts: RetentionCounts
  /** What the store failed to do, each once. */
  readonly failures: Set<string>
  readonly onDecision: (decision: Decision) => void
  /** Called as the run goes through the repository it is at; from 0 to 1. */
  readonly reach: (fraction: number) => void
}
