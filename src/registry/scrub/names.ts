/** Goes through the hints and marks of manifests, and through the tags: what leads nowhere, and what nothing leads to. */
import { listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { manifestKey, namedPrefix, tagHintKey } from '../layout.ts'
import { placeOf } from '../places.ts'
import { decodeManifest, decodeTag, type TagRecord } from '../records.ts'
import { createCounts } from '../sweep/context.ts'
import { cleanNames } from '../sweep/hints.ts'
import { workOrCount } from '../sweep/unreadable.ts'
import { batchSize, mayRepair, repairOutcome, type ScrubContext } from './context.ts'
import { findPendingManifests, type NamedManifest, nameOf } from './pending.ts'
import { orTell, readStored, settleUnreadable } from './stored.ts'

/** What the sweep would remove behind a manifest, and does in the mode `sweep`; nothing when something of it cannot be read, or the store fails: that is told. */
async function countDead(
  { sweep, tell }: ScrubContext,
  { repository, digest }: NamedManifest,
  mode: 'look' | 'sweep',
  cancel: Cancel,
): Promise<{ readonly hints: number; readonly tags: number }> {
  const counts = createCounts()
  const done = await workOrCount({ counts }, () => cleanNames({ ...sweep, mode, counts }, repository, digest, cancel))
  if (done === undefined) {
    const key = namedPrefix(repository, digest)
    const { failure: detail } = counts
    // A torn record is told of where it lies.
    if (detail !== undefined) tell({ kind: 'unreadable', key, repository, digest, detail, outcome: 'found' })
    return { hints: 0, tags: 0 }
  }
  return { hints: counts.hints + counts.marks, tags: counts.tags }
}

/** Looked at, then what the sweep knows of is left out, then looked at again: of what it knew it has removed by then what it forgot. */
async function settleDeadHints(
  scrub: ScrubContext,
  manifests: readonly NamedManifest[],
  cancel: Cancel,
): Promise<void> {
  const atOnce = scrub.limits.maxParallelCalls
  const counts = await mapConcurrently(manifests, atOnce, (each) => countDead(scrub, each, 'look', cancel))
  const suspects = manifests.filter((_, i) => (counts[i]?.hints ?? 0) > 0)
  const pending = await findPendingManifests(scrub, new Set(suspects.map(nameOf)), cancel)
  for (const each of suspects.filter((suspect) => !pending.has(nameOf(suspect)))) {
    const { hints, tags } = await countDead(scrub, each, mayRepair(scrub) ? 'sweep' : 'look', cancel)
    const outcome = repairOutcome(scrub)
    const found = { ...each, key: namedPrefix(each.repository, each.digest), outcome }
    if (hints > 0) scrub.tell({ ...found, kind: 'dead hint', detail: `${hints} of them` })
    // Those that are only found are told of where they lie.
    if (tags > 0 && mayRepair(scrub)) scrub.tell({ ...found, kind: 'dead tag', detail: `${tags} of them` })
  }
}

/** A mark on a manifest that is there: a DELETE that was killed. Nobody else may remove it; a push makes a manifest that it does not mean. */
async function checkMark(
  scrub: ScrubContext,
  key: string,
  { repository, digest, incarnation }: NamedManifest & { readonly incarnation: string },
  cancel: Cancel,
): Promise<void> {
  // A damaged manifest is told of where it lies.
  if (key.includes('.damaged-')) return
  const manifest = await readStored(scrub, manifestKey(repository, digest), decodeManifest, cancel)
  if (manifest.state !== 'read' || manifest.value.push !== incarnation) return
  scrub.tell({ kind: 'condemned', key, repository, digest, outcome: 'found' })
}

/** Goes through all hints and marks behind a key. */
export async function scrubNamed(scrub: ScrubContext, after: string, cancel: Cancel): Promise<void> {
  const options = { ...cancel, after, times: true, pageSize: 1000 }
  for await (const { entries, now = 0 } of listPages(scrub.driver, 'named/', options)) {
    // Several keys of one manifest make one look. One that goes on behind this page is looked at once more.
    const manifests = new Map<string, NamedManifest>()
    for (const { key, modified = now } of entries) {
      const place = placeOf(key)
      if (place?.kind === 'hint' || place?.kind === 'manifest mark' || place?.kind === 'note') {
        const { repository, digest } = place
        manifests.set(nameOf(place), { repository, digest })
      } else scrub.tell({ kind: 'unknown', key, outcome: 'found' })
      if (place?.kind === 'manifest mark' && now - modified >= scrub.limits.leaseMs) {
        await orTell(scrub, key, () => checkMark(scrub, key, place, cancel))
      }
    }
    await settleDeadHints(scrub, [...manifests.values()], cancel)
    const last = entries.at(-1)
    if (last !== undefined) scrub.reach(last.key)
  }
}

interface StoredTag extends TagRecord, NamedManifest {
  readonly key: string
  readonly version: string
}

async function checkTagHint(
  scrub: ScrubContext,
  { key, version, repository, digest, push }: StoredTag,
  cancel: Cancel,
): Promise<void> {
  const place = placeOf(key)
  if (place?.kind !== 'tag') return
  const hint = tagHintKey(repository, digest, place.tag, push)
  if ((await scrub.driver.stat(hint, cancel)) !== undefined) return
  if ((await scrub.driver.stat(key, cancel))?.version !== version) return
  if (mayRepair(scrub)) await scrub.driver.write(hint, Buffer.alloc(0), cancel)
  scrub.tell({ kind: 'missing hint', key, repository, digest, detail: hint, outcome: repairOutcome(scrub) })
}

/** The tag when its manifest is gone, told by a read after that of the tag. Whatever else is wrong with it is settled. */
async function checkTag(scrub: ScrubContext, key: string, cancel: Cancel): Promise<StoredTag | undefined> {
  const place = placeOf(key)
  if (place?.kind !== 'tag') {
    scrub.tell({ kind: 'unknown', key, outcome: 'found' })
    return undefined
  }
  const stored = await readStored(scrub, key, decodeTag, cancel)
  if (stored.state === 'unreadable') await settleUnreadable(scrub, key, stored, 'remove', cancel)
  if (stored.state !== 'read') return undefined
  const tag = { ...stored.value, key, repository: place.repository, version: stored.version }
  if ((await scrub.driver.stat(manifestKey(tag.repository, tag.digest), cancel)) === undefined) return tag
  await checkTagHint(scrub, tag, cancel)
  return undefined
}

/** Goes through all tags behind a key. A tag is read, its manifest seen to be absent, that version removed: one written meanwhile is another version. */
export async function scrubTags(scrub: ScrubContext, after: string, cancel: Cancel): Promise<void> {
  const atOnce = scrub.limits.maxParallelCalls
  const check = (key: string): Promise<StoredTag | undefined> => orTell(scrub, key, () => checkTag(scrub, key, cancel))
  for await (const { entries } of listPages(scrub.driver, 'tags/', { ...cancel, after, pageSize: batchSize })) {
    const dead = (await mapConcurrently(entries, atOnce, ({ key }) => check(key))).filter((tag) => tag !== undefined)
    const pending = await findPendingManifests(scrub, new Set(dead.map(nameOf)), cancel)
    for (const { key } of dead.filter((tag) => !pending.has(nameOf(tag)))) {
      const tag = await check(key)
      if (tag === undefined) continue
      const { repository, digest, version } = tag
      await orTell(scrub, key, async () => {
        if (mayRepair(scrub)) {
          await scrub.driver.remove(key, { ...cancel, ifUnchanged: version })
          await countDead(scrub, tag, 'sweep', cancel)
        }
        scrub.tell({ kind: 'dead tag', key, repository, digest, outcome: repairOutcome(scrub) })
      })
    }
    const last = entries.at(-1)
    if (last !== undefined) scrub.reach(last.key)
  }
}
