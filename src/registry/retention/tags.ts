/**
 * Which tags of a repository go, by the time they were pushed: the store's own, in two passes over the list of tags. The first finds the newest ones that a
 * rule keeps and remembers no more than those; the second decides. A tag that is pushed in between is newer than all of them.
 */
import { type Digest, isDigest } from '../../oci/digest.ts'
import type { RepositoryName, Tag } from '../../oci/name.ts'
import { listPages } from '../../storage/list-all.ts'
import type { Cancel, ListEntry } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { manifestKey, parseTagKey, tagsPrefix } from '../layout.ts'
import { decodeTag } from '../records.ts'
import { removeTagVersion } from '../removal.ts'
import { describeSetting, describeSpan } from '../span.ts'
import { decodeOrCount, workOrCount } from '../sweep/unreadable.ts'
import type { Decision, RetentionContext } from './context.ts'
import type { NamedRule, RepositoryRules } from './rules.ts'

interface TaggedAt {
  readonly key: string
  readonly modified: number
}

type Verdict = Pick<Decision, 'verdict' | 'rule' | 'reason'>

function isNewer(one: TaggedAt, other: TaggedAt): boolean {
  return one.modified > other.modified || (one.modified === other.modified && one.key > other.key)
}

/** Puts a tag into the newest first list of at most `limit`, if it belongs there. */
function addNewest(newest: TaggedAt[], tag: TaggedAt, limit: number): void {
  const last = newest.at(-1)
  if (newest.length >= limit && last !== undefined && !isNewer(tag, last)) return
  let from = 0
  for (let to = newest.length; from < to;) {
    const middle = (from + to) >>> 1
    const there = newest[middle]
    if (there !== undefined && isNewer(there, tag)) from = middle + 1
    else to = middle
  }
  newest.splice(from, 0, tag)
  if (newest.length > limit) newest.pop()
}

/**
 * The manifest that a tag belongs to which is no version of anything: `sha256-<hex>`, the fallback of the referrers API (distribution-spec v1.1.1,
 * "Referrers tag schema"), and with `.sig`, `.att` or `.sbom` behind it what cosign writes.
 */
function subjectOf(tag: Tag): Digest | undefined {
  const [, algorithm, hex] = /^(sha256|sha512)-([0-9a-f]+)(?:\.[a-z]+)?$/.exec(tag) ?? []
  const digest = `${algorithm}:${hex}`
  return isDigest(digest) ? digest : undefined
}

/** The rule whose numbers and ages hold for a tag; undefined when none does, because it cannot go or is no version. */
function findCountingRule(
  { immutableTags }: RetentionContext,
  repository: RepositoryName,
  rules: RepositoryRules,
  tag: Tag,
): NamedRule | undefined {
  if (immutableTags?.findRule(repository, tag) !== undefined || subjectOf(tag) !== undefined) return undefined
  return rules.findTagRule(tag)
}

async function findNewest(
  retention: RetentionContext,
  repository: RepositoryName,
  rules: RepositoryRules,
  cancel: Cancel,
): Promise<ReadonlyMap<string, readonly TaggedAt[]>> {
  const newest = new Map<string, TaggedAt[]>()
  if (!rules.keepsNumber) return newest
  for await (const page of listPages(retention.driver, tagsPrefix(repository), { ...cancel, times: true })) {
    for (const { key, modified = 0 } of page.entries) {
      const rule = findCountingRule(retention, repository, rules, parseTagKey(key))
      if (rule?.keepLast === undefined) continue
      const known = newest.get(rule.name) ?? []
      addNewest(known, { key, modified }, rule.keepLast)
      newest.set(rule.name, known)
    }
  }
  return newest
}

/** What a rule says of a tag of this age; `isKept`: it is one of the newest that the rule keeps. */
function judge({ name: rule, keepLast, maxAgeMs }: NamedRule, ageMs: number, isKept: () => boolean): Verdict {
  if (keepLast === undefined && maxAgeMs === undefined) {
    return { verdict: 'keep', rule, reason: 'the rule removes no tags' }
  }
  if (keepLast !== undefined && isKept()) {
    return { verdict: 'keep', rule, reason: `one of the ${keepLast} pushed last` }
  }
  const pushed = `pushed ${describeSpan(ageMs)} ago`
  if (maxAgeMs !== undefined && ageMs < maxAgeMs) {
    return { verdict: 'keep', rule, reason: `${pushed}, not yet ${describeSetting(maxAgeMs)}` }
  }
  const old = maxAgeMs === undefined ? [] : [`${pushed}, more than ${describeSetting(maxAgeMs)}`]
  const many = keepLast === undefined ? [] : [`not one of the ${keepLast} pushed last`]
  return { verdict: 'remove', rule, reason: [...old, ...many].join(', ') }
}

/** What becomes of the tag of a signature and its like: it stays with its subject, and then goes as an untagged manifest does. */
async function judgeCompanion(
  { driver }: RetentionContext,
  repository: RepositoryName,
  rules: RepositoryRules,
  { subject, ageMs }: { readonly subject: Digest; readonly ageMs: number },
  cancel: Cancel,
): Promise<Verdict | undefined> {
  if (rules.untagged === undefined) return undefined
  const { name: rule, afterMs } = rules.untagged
  const isThere = (await driver.stat(manifestKey(repository, subject), cancel)) !== undefined
  if (isThere) return { verdict: 'keep', rule, reason: 'the manifest it belongs to is there' }
  if (ageMs < afterMs)
    return { verdict: 'wait', rule, reason: `pushed ${describeSpan(ageMs)} ago, not yet ${describeSetting(afterMs)}` }
  return { verdict: 'remove', rule, reason: 'the manifest it belongs to is gone' }
}

/** Removes the tag that was decided on; one that was pushed again meanwhile is another. */
async function removeTag(
  retention: RetentionContext,
  repository: RepositoryName,
  { key, modified }: TaggedAt,
  cancel: Cancel,
): Promise<'removed' | 'left'> {
  if (retention.mode === 'look') return 'removed'
  const stored = await retention.driver.read(key, cancel)
  if (stored === undefined || stored.modified > modified) return 'left'
  const tag = decodeOrCount(retention, () => decodeTag(stored.bytes))
  if (tag === undefined) return 'left'
  const named = { key, digest: tag.digest, version: stored.version }
  return (await removeTagVersion(retention, repository, named, cancel)) === 'removed' ? 'removed' : 'left'
}

/** Decides on every tag of a repository, and removes those that go. */
export async function retainTags(
  retention: RetentionContext,
  repository: RepositoryName,
  rules: RepositoryRules,
  cancel: Cancel,
): Promise<void> {
  const { driver, limits, counts, onDecision, immutableTags } = retention
  const newest = await findNewest(retention, repository, rules, cancel)
  const decide = async ({ key, modified = 0 }: ListEntry, now: number): Promise<Verdict | undefined> => {
    const [tag, ageMs] = [parseTagKey(key), now - modified]
    const immutable = immutableTags?.findRule(repository, tag)
    if (immutable !== undefined) return { verdict: 'keep', rule: immutable, reason: 'it is immutable' }
    const subject = subjectOf(tag)
    if (subject !== undefined) return judgeCompanion(retention, repository, rules, { subject, ageMs }, cancel)
    const rule = rules.findTagRule(tag)
    const isKept = (): boolean => {
      const last = newest.get(rule?.name ?? '')?.at(-1)
      return last === undefined || !isNewer(last, { key, modified })
    }
    return rule && judge(rule, ageMs, isKept)
  }
  for await (const page of listPages(driver, tagsPrefix(repository), { ...cancel, times: true })) {
    const carryOut = async (entry: ListEntry): Promise<Decision | undefined> => {
      const verdict = await decide(entry, page.now)
      const { key, modified = 0 } = entry
      if (verdict === undefined) return undefined
      const isLeft =
        verdict.verdict === 'remove' && (await removeTag(retention, repository, { key, modified }, cancel)) === 'left'
      return isLeft ? undefined : { repository, what: { kind: 'tag', tag: parseTagKey(key) }, ...verdict }
    }
    const decisions = await mapConcurrently(page.entries, limits.maxParallelCalls, (entry) =>
      workOrCount(retention, () => carryOut(entry)),
    )
    for (const decision of decisions) {
      if (decision === undefined) continue
      if (decision.verdict === 'remove') counts.tags++
      onDecision(decision)
    }
  }
}
