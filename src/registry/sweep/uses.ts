/**
 * What bytes are needed for: the links that name them, whether one is young, and what the repositories of those name. Many ids are looked at together, so
 * that a repository is read once for all of them. Protocol: DESIGN section 4, "Collect an id".
 */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listAll, listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently, slicesOf } from '../concurrently.ts'
import { dataPrefix, linkKey, linksPrefix, parseLinkKey, renewalKey } from '../layout.ts'
import { decodeLink } from '../records.ts'
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

/** Candidates, about, that are marked together: a mark that must go again stands for a second or so, shorter than a request waits for it. */
const maxGroup = 1000

/** Links, about, that are held together: some 20 MB. A layer that thousands of repositories share has as many. */
const maxGroupLinks = 50_000

/** Candidates whose links are looked at before those are counted: by so many a group may be larger. */
const looksAtOnce = 40

export interface Look {
  readonly candidate: Candidate
  readonly uses: readonly Use[]
  readonly isLeased: boolean
}

/** The links that name the bytes of a candidate, and whether one of them is young. */
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
  const isLeased = isUnreadable || (uses.length > 0 && (await isAnyYoung(sweep, candidate, uses, cancel)))
  return { candidate, uses, isLeased }
}

/** Whether a link or its renewal is younger than the lease. The renewals are read after the links; the store's time comes with them. */
async function isAnyYoung(
  { driver, limits }: SweepContext,
  { id }: Candidate,
  uses: readonly Use[],
  cancel: Cancel,
): Promise<boolean> {
  const keys = new Set(uses.map(({ repository }) => renewalKey(id, repository)))
  for await (const page of listPages(driver, dataPrefix(id), { ...cancel, times: true, after: `${dataPrefix(id)}~` })) {
    const isYoung = (modified = 0): boolean => (page.now ?? 0) - modified < limits.leaseMs
    if (uses.some((use) => isYoung(use.modified))) return true
    if (page.entries.some(({ key, modified }) => keys.has(key) && isYoung(modified))) return true
  }
  return false
}

/** What candidates are needed for; `undefined` as verdict means not at all. */
export type Uses = ReadonlyMap<
  Candidate,
  { readonly verdict: 'named' | 'leased' | undefined; readonly uses: readonly Use[] }
>

/** The looks at candidates in groups that are judged together: a repository is read once for each, and no more links than these are held. */
export async function* lookInGroups(
  sweep: SweepContext,
  candidates: readonly Candidate[],
  cancel: Cancel,
): AsyncGenerator<readonly Look[]> {
  const look = async (candidate: Candidate): Promise<Look> => {
    const seen = await workOrCount(sweep, () => lookAtLinks(sweep, candidate, cancel))
    return seen ?? { candidate, uses: [], isLeased: true }
  }
  let group: Look[] = []
  let links = 0
  for (const some of slicesOf(candidates, looksAtOnce)) {
    for (const seen of await mapConcurrently(some, sweep.limits.maxParallelCalls, look)) {
      group.push(seen)
      links += seen.uses.length
    }
    if (group.length < maxGroup && links < maxGroupLinks) continue
    yield group
    group = []
    links = 0
  }
  if (group.length > 0) yield group
}

/** What each candidate is needed for at this moment. */
export async function lookAtUses(sweep: SweepContext, candidates: readonly Candidate[], cancel: Cancel): Promise<Uses> {
  const uses = new Map<Candidate, NonNullable<ReturnType<Uses['get']>>>()
  for await (const looks of lookInGroups(sweep, candidates, cancel)) {
    for (const [candidate, use] of await judge(sweep, looks, cancel)) uses.set(candidate, use)
  }
  return uses
}

/** What the repositories say of the links that were seen. */
export async function judge(sweep: SweepContext, looks: readonly Look[], cancel: Cancel): Promise<Uses> {
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
  return new Map(
    looks.map(({ candidate, uses, isLeased }) => {
      const by = new Set(uses.map(({ key }) => named.get(key)))
      const verdict = by.has('manifest') ? 'named' : isLeased || by.has('push') ? 'leased' : undefined
      return [candidate, { verdict, uses }]
    }),
  )
}
