/**
 * As which digests the bytes of an upload may be linked. The sweep looks under these for what needs the bytes, so none may be missing: claims say it
 * while the upload is there, `~as` once it was ended, and where power loss took what was written without a sync, the bytes themselves do.
 */
import type { Hash } from 'node:crypto'
import { createHasher, digestAlgorithms, digestOf, type Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import type { Cancel } from '../../storage/driver.ts'
import { listAll } from '../../storage/list-all.ts'
import {
  dataPrefix,
  isAboutData,
  isDataMark,
  kindOfUploadKey,
  linkedAsKey,
  parseClosedAsKey,
  parseSegmentKey,
  uploadPrefix,
} from '../layout.ts'
import { decodeClaim, decodeGarbage, type Segment } from '../records.ts'
import { hashSegment } from '../segments.ts'
import type { SweepContext } from './context.ts'
import { decodeOrCount } from './unreadable.ts'

/** Bytes, and the digests under which they may be linked. */
export interface Candidate {
  readonly id: string
  readonly digests: ReadonlySet<Digest>
  /** One that has a link to them, or had: what one repository may need is looked at together. */
  readonly repository?: RepositoryName | undefined
}

export interface FoundDigests {
  /** With all its digests; `undefined` when something that tells one cannot be read. */
  readonly candidate: Candidate | undefined
  /** Keys of the upload that say digests. */
  readonly claims: readonly string[]
  /** Whether its session is there: a client may go on with it. */
  readonly isOpen: boolean
  /** Entries that would become links. */
  readonly entries: readonly string[]
}

/** Finds what tells the digests of an upload. Reads its claims first and what is kept of them after that: who removes those has written this before. */
export async function findDigests(
  sweep: SweepContext,
  { id, digests, repository: known }: Candidate,
  cancel: Cancel,
): Promise<FoundDigests> {
  const { driver } = sweep
  let repository = known
  const all = new Set(digests)
  const claims: string[] = []
  const entries: string[] = []
  const claimed = new Set<string>()
  let [isWhole, isOpen] = [true, false]
  for await (const { key } of listAll(driver, uploadPrefix(id), cancel)) {
    const kind = kindOfUploadKey(key)
    if (kind === 'close') entries.push(key)
    isOpen ||= kind === 'session'
    if (kind === 'claim' || kind === 'closed-as') claims.push(key)
    if (kind === 'closed-as') all.add(parseClosedAsKey(key))
    if (kind !== 'claim') continue
    const stored = await driver.read(key, cancel)
    const claim = stored && decodeOrCount(sweep, () => decodeClaim(stored.bytes))
    isWhole &&= stored === undefined || claim !== undefined
    if (claim === undefined) continue
    claimed.add(claim.segment.key)
    repository ??= claim.repository
    if (claim.digest !== undefined) all.add(claim.digest)
  }
  const told = await findBesideBytes(sweep, id, claimed, cancel)
  for (const digest of told ?? []) all.add(digest)
  const candidate = isWhole && told !== undefined ? { id, digests: all, repository } : undefined
  return { candidate, claims, entries, isOpen }
}

/** What is kept beside the bytes, or what the bytes say themselves when some of them have no claim; `undefined` when that cannot be read. */
async function findBesideBytes(
  sweep: SweepContext,
  id: string,
  claimed: ReadonlySet<string>,
  cancel: Cancel,
): Promise<Iterable<Digest> | undefined> {
  const { driver } = sweep
  const segments: string[] = []
  let isKept = false
  for await (const { key } of listAll(driver, dataPrefix(id), cancel)) {
    if (key === linkedAsKey(id)) isKept = true
    else if (!isDataMark(key) && !isAboutData(key)) segments.push(key)
  }
  if (!isKept) return segments.every((key) => claimed.has(key)) ? [] : hashOnce(sweep, id, segments, cancel)
  const kept = await driver.read(linkedAsKey(id), cancel)
  if (kept === undefined) return []
  return decodeOrCount(sweep, () => decodeGarbage(kept.bytes))?.digests
}

/** What cannot be told from the bytes cannot the next time, and reading them costs much: this process does so once a day. */
async function hashOnce(
  sweep: SweepContext,
  id: string,
  segments: readonly string[],
  cancel: Cancel,
): Promise<Iterable<Digest> | undefined> {
  if (sweep.seenSince.has(linkedAsKey(id))) return undefined
  sweep.seenSince.set(linkedAsKey(id), sweep.monotonicMs())
  // Also when the store fails at a byte far behind: reading all before it every few minutes would gain nothing.
  const found = await hashBytes(sweep, segments, cancel)
  if (found === 'ambiguous') return undefined
  sweep.seenSince.delete(linkedAsKey(id))
  return found
}

/**
 * Every digest that these segments can make up from the first byte on. Two of them may begin at one place, when power loss took the claim that said which
 * of them counts. `undefined` when one is gone meanwhile; `ambiguous` when they fit together in too many ways: the scrub reads all links instead.
 */
export async function hashBytes(
  { driver }: Pick<SweepContext, 'driver'>,
  keys: readonly string[],
  cancel: Cancel,
): Promise<Iterable<Digest> | 'ambiguous' | undefined> {
  const at = new Map<number, Segment[]>()
  for (const key of keys) {
    const stat = await driver.stat(key, cancel)
    if (stat === undefined) return undefined
    const offset = parseSegmentKey(key)
    at.set(offset, [...(at.get(offset) ?? []), { key, size: stat.size }])
  }
  const found = new Set<Digest>()
  let left = keys.length * 2
  const follow = async (offset: number, before: readonly Hash[]): Promise<'all' | 'ambiguous' | 'gone'> => {
    for (const segment of at.get(offset) ?? []) {
      if (left-- === 0) return 'ambiguous'
      const hashers = before.map((hasher) => hasher.copy())
      if (!(await hashSegment(driver, segment, hashers, cancel))) return 'gone'
      for (const [i, algorithm] of digestAlgorithms.entries()) {
        const hasher = hashers[i]
        if (hasher !== undefined) found.add(digestOf(algorithm, hasher.copy()))
      }
      const rest = segment.size > 0 ? await follow(offset + segment.size, hashers) : 'all'
      if (rest !== 'all') return rest
    }
    return 'all'
  }
  const outcome = await follow(0, digestAlgorithms.map(createHasher))
  return outcome === 'gone' ? undefined : outcome === 'ambiguous' ? outcome : found
}
