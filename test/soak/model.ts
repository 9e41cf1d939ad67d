/** What the clients of a soak were told: every acknowledged fact, and what may be true of those that are changing. */

export interface Content {
  readonly digest: string
  readonly bytes: Buffer
}

/** A manifest of one repository, or an index of such manifests. Only the client that made it changes it. */
export interface Image extends Content {
  readonly repository: string
  readonly mediaType: string
  readonly blobs: readonly Content[]
  readonly children: readonly Image[]
  /** `changing`: a push or a DELETE has begun and nobody has said yet how it ended. */
  state: 'absent' | 'changing' | 'present'
  /** Changes that were begun: who reads the same number before and after has seen one state. */
  changes: number
}

/** A tag that only one client writes. */
export interface TagFact {
  readonly repository: string
  readonly tag: string
  image: Image | undefined
  isChanging: boolean
  changes: number
}

/** A write of the tag that all clients move; until it is acknowledged it has no end. */
export interface SharedWrite {
  readonly image: Image
  readonly beganAt: number
  endedAt: number
}

/** A tag below retention rules, as it was pushed last. */
export interface RetainedTag {
  readonly tag: string
  /** By which rule it goes, if it does. */
  readonly kind: 'stay' | 'old' | 'last'
  readonly image: Image
  /** When its push began, in monotonic ms: the store wrote it later. */
  readonly beganAt: number
  isChanging: boolean
}

/** A repository with retention rules. Only one client writes it, and only one thing at a time. */
export interface Retained {
  readonly repository: string
  /** What two of the store's times may differ by that were the same, in ms. */
  readonly tickMs: number
  /** Those that must stay, and some that may be gone, in the order of their pushes. */
  readonly tags: Map<string, RetainedTag>
}

export interface Model {
  readonly images: Image[]
  readonly tags: Map<string, TagFact>
  /** By repository. */
  readonly shared: Map<string, SharedWrite[]>
  readonly retained: Retained[]
  /** What was acknowledged and was not there. */
  readonly lost: string[]
  /** Answers that nothing explains. */
  readonly problems: string[]
}

export const sharedTag = 'latest'

export function createModel(): Model {
  return { images: [], tags: new Map(), shared: new Map(), retained: [], lost: [], problems: [] }
}

export function tagOf(model: Model, repository: string, tag: string): TagFact {
  const key = `${repository}:${tag}`
  const known = model.tags.get(key)
  if (known !== undefined) return known
  const fact: TagFact = { repository, tag, image: undefined, isChanging: false, changes: 0 }
  model.tags.set(key, fact)
  return fact
}

/** Whether a write was replaced for certain before `at`. */
function isReplaced(write: SharedWrite, writes: readonly SharedWrite[], at: number): boolean {
  return writes.some((other) => other.beganAt > write.endedAt && other.endedAt < at)
}

/** Whether a read of the shared tag may have seen this digest. */
export function mayRead(model: Model, repository: string, digest: string, beganAt: number, endedAt: number): boolean {
  const writes = model.shared.get(repository) ?? []
  return writes.some(
    (write) => write.image.digest === digest && write.beganAt <= endedAt && !isReplaced(write, writes, beganAt),
  )
}

/** Whether the shared tag was acknowledged at all before `at`. */
export function isShared(model: Model, repository: string, at: number): boolean {
  return (model.shared.get(repository) ?? []).some(({ endedAt }) => endedAt < at)
}

/** Whether the shared tag may still name an image: it is not deleted then. */
export function mayBeShared(model: Model, image: Image): boolean {
  const writes = model.shared.get(image.repository) ?? []
  const now = performance.now()
  return writes.some((write) => write.image === image && !isReplaced(write, writes, now))
}

/** Forgets the writes that no read can see any more. */
export function forgetReplaced(model: Model, repository: string): void {
  const writes = model.shared.get(repository) ?? []
  const minuteAgo = performance.now() - 60_000
  model.shared.set(
    repository,
    writes.filter((write) => !isReplaced(write, writes, minuteAgo)),
  )
}
