/**
 * What bytes are needed for: the links that name them, whether one is young, and what the repositories of those name. Many ids are looked at together, so
 * that a repository is read once for all of them. Protocol: DESIGN section 4, "Collect an id".
 */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listAll, listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently, slicesOf } from '../concurrently.ts'
import { dataPrefix, isAboutData, isDataMark, linkKey, linksPrefix, parseLinkKey, renewalKey } from '../layout.ts'
import { decodeLink, type Segment } from '../records.ts'
import type { SweepContext } from './context.ts'
import type { Candidate } from './digests.ts'
import { findNamed } from './names.ts'
import { decodeOrCount, workOrCount } from './unreadable.ts'

export interface Use {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly key: string
  readonly version: string
  /** When the link was written, by the store's clock, in ms. */
  readonly modified: number
}

/** Candidates with their links and segments, about, that are held together: some 20 MB, and as many are deleted meanwhile. A layer that thousands of repositories share has as many. */
const maxGroup = 50_000

export interface Look {
  readonly candidate: Candidate
  readonly uses: readonly Use[]
  readonly isLeased: boolean
  /** The bytes that are there. */
  readonly segments: readonly Segment[]
  /** Whether anything is that a collection removes: links, bytes, or what is said of them. */
  readonly isThere: boolean
}

/** The links that name the bytes of a candidate, whether one of them is young, and what is there of the bytes. */
export async function lookAtLinks(sweep: SweepContext, candidate: Candidate, cancel: Cancel): Promise<Look> {
  const { driver } = sweep
  const uses: Use[] = []
  let isUnreadable = false
  for (const digest of candidate.digests) {
    for await (const { key } of listAll(driver, linksPrefix(digest), cancel)) {
      const stored = await driver.read(key, cancel)
      const link = stored && decodeOrCount(sweep, () => decodeLink(stored.bytes))
      // It may name these bytes.
      if (stored !== undefined && link === undefined) isUnreadable = true
      if (stored === undefined || link?.id !== candidate.id) continue
      uses.push({ repository: parseLinkKey(key), digest, key, version: stored.version, modified: stored.modified })
    }
  }
  const { isAnyYoung, segments, isThere } = await lookAtData(sweep, candidate, uses, cancel)
  // Links of bytes that are gone stay where they cannot be removed for certain.
  const hasLinks = uses.length > 0 && driver.removal === 'exact'
  return { candidate, uses, isLeased: isUnreadable || isAnyYoung, segments, isThere: isThere || hasLinks }
}

/** Whether a link or its renewal is younger than the lease. The renewals are read after the links; the store's time comes with them. */
async function lookAtData(
  { driver, limits }: SweepContext,
  { id }: Candidate,
  uses: readonly Use[],
  cancel: Cancel,
): Promise<Pick<Look, 'segments' | 'isThere'> & { readonly isAnyYoung: boolean }> {
  const renewals = new Set(uses.map(({ repository }) => renewalKey(id, repository)))
  const segments: Segment[] = []
  let [isAnyYoung, isThere] = [false, false]
  for await (const { entries, now = 0 } of listPages(driver, dataPrefix(id), { ...cancel, times: true })) {
    const isYoung = (modified = 0): boolean => now - modified < limits.leaseMs
    isThere ||= entries.length > 0
    isAnyYoung ||= uses.some((use) => isYoung(use.modified))
    for (const { key, modified, size = 0 } of entries) {
      if (renewals.has(key)) isAnyYoung ||= isYoung(modified)
      else if (!isDataMark(key) && !isAboutData(key)) segments.push({ key, size })
    }
  }
  return { isAnyYoung, segments, isThere }
}

/** What a candidate is needed for; `undefined` as verdict means not at all. */
export interface Judged extends Look {
  readonly verdict: 'named' | 'leased' | undefined
}

/** The looks at candidates in groups that are judged together: a repository is read once for each, and no more links than these are held. */
async function* lookInGroups(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): AsyncGenerator<readonly Look[]> {
  const look = async (candidate: Candidate): Promise<Look> => {
    const seen = await workOrCount(sweep, () => lookAtLinks(sweep, candidate, cancel))
    return seen ?? { candidate, uses: [], isLeased: true, segments: [], isThere: true }
  }
  let group: Look[] = []
  let weight = 0
  const atOnce = sweep.limits.maxParallelCalls
  for (const some of slicesOf(candidates, atOnce)) {
    for (const seen of await mapConcurrently(some, atOnce, look)) {
      group.push(seen)
      weight += 1 + seen.uses.length + seen.segments.length
    }
    if (weight < maxGroup) continue
    yield group
    group = []
    weight = 0
  }
  if (group.length > 0) yield group
}

/** What each candidate is needed for at this moment, in groups of which no more is held together. */
export async function* lookAtUses(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): AsyncGenerator<readonly Judged[]> {
  for await (const looks of lookInGroups(sweep, candidates, cancel)) yield judge(sweep, looks, cancel)
}

/** What the repositories say of the links that were seen. */
async function judge(sweep: SweepContext, looks: readonly Look[], cancel: Cancel): Promise<readonly Judged[]> {
  const wanted = new Map<RepositoryName, Set<Digest>>()
  for (const { uses } of looks) {
    for (const { repository, digest } of uses) {
      const digests = wanted.get(repository) ?? new Set()
      wanted.set(repository, digests.add(digest))
    }
  }
  const named = new Map<string, 'push' | 'manifest'>()
  await mapConcurrently([...wanted], sweep.limits.maxParallelCalls, async ([repository, digests]) => {
    const found = await workOrCount(sweep, () => findNamed(sweep, repository, digests, cancel))
    // What could not be looked at may name any of them.
    for (const [digest, by] of found ?? Array.from(digests, (each) => [each, 'push'] as const)) {
      named.set(linkKey(digest, repository), by)
    }
  })
  return looks.map((look) => {
    const by = new Set(look.uses.map(({ key }) => named.get(key)))
    const verdict = by.has('manifest') ? 'named' : look.isLeased || by.has('push') ? 'leased' : undefined
    return { ...look, verdict }
  })
}
