/**
 * Goes through the bytes, by their ids: those that nobody links any more, and marks of deletions that were never finished. From an id no key leads to
 * the links that name it, so the links of the whole store are read: once into a filter, which tells of nearly all ids that they are linked, and once more
 * for the few that are left.
 */
import { listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { linkedAsKey, parseSegmentKey, uploadPrefix } from '../layout.ts'
import { placeOf } from '../places.ts'
import { decodeGarbage } from '../records.ts'
import { batchSize, type ScrubContext } from './context.ts'
import { createIdFilter, type IdFilter } from './id-filter.ts'
import { restoreLinkedAs } from './lost-claims.ts'
import { orTell, readStored, settleUnreadable } from './stored.ts'
import { settleUnlinked } from './unlinked.ts'
import { walkLinks } from './walk-links.ts'

/** What the keys of one id say together. */
export interface Bytes {
  readonly id: string
  lastKey: string
  /** The youngest key that is no damage mark, by the store's clock. */
  newest: number
  /** The oldest mark of a collector, if there is one. */
  oldestMark: number | undefined
  isDamaged: boolean
  /** The key that says as which digests they are linked, if there is one. */
  linkedAs: string | undefined
  /** Where the last segment begins. */
  lastOffset: number | undefined
  /** Two segments begin at one place: without a claim the bytes may not tell what they are. */
  isDoubled: boolean
}

const noBytes = {
  newest: 0,
  oldestMark: undefined,
  isDamaged: false,
  linkedAs: undefined,
  lastOffset: undefined,
  isDoubled: false,
}

/** Ids that are looked at for links together: each batch reads all links of the store. */
const suspectsAtOnce = 10_000

async function filterLinked(scrub: ScrubContext, cancel: Cancel): Promise<IdFilter> {
  const filter = createIdFilter(scrub.createId())
  for await (const walked of walkLinks(scrub, 'blobs/', cancel)) {
    if (walked.kind === 'link') filter.add(walked.link.record.id)
  }
  return filter
}

function addKey(bytes: Bytes, key: string, modified: number, scrub: ScrubContext): void {
  bytes.lastKey = key
  const place = placeOf(key)
  if (place === undefined) scrub.tell({ kind: 'unknown', key, outcome: 'found' })
  if (place?.kind === 'damage mark') bytes.isDamaged = true
  else bytes.newest = Math.max(bytes.newest, modified)
  if (place?.kind === 'linked-as') bytes.linkedAs = key
  if (place?.kind === 'mark') bytes.oldestMark = Math.min(bytes.oldestMark ?? modified, modified)
  if (place?.kind === 'segment') {
    const offset = parseSegmentKey(key)
    bytes.isDoubled ||= offset === bytes.lastOffset
    bytes.lastOffset = offset
  }
}

/** All ids with their keys, and the store's time. */
async function* walkBytes(
  scrub: ScrubContext,
  after: string,
  cancel: Cancel,
): AsyncGenerator<{ readonly bytes: Bytes; readonly now: number }> {
  let bytes: Bytes | undefined
  let now = 0
  for await (const page of listPages(scrub.driver, 'data/', { ...cancel, after, times: true })) {
    now = page.now
    for (const { key, modified = now } of page.entries) {
      const id = key.split('/')[1] ?? ''
      if (bytes?.id !== id) {
        if (bytes !== undefined) yield { bytes, now }
        bytes = { ...noBytes, id, lastKey: key }
      }
      addKey(bytes, key, modified, scrub)
    }
  }
  if (bytes !== undefined) yield { bytes, now }
}

/** Whether nothing tells any more as which digests these bytes are linked. */
async function hasLostDigests(
  scrub: ScrubContext,
  { id, linkedAs, isDoubled }: Bytes,
  cancel: Cancel,
): Promise<boolean> {
  if (linkedAs === undefined) {
    if (!isDoubled) return false
    const { entries } = await scrub.driver.list(uploadPrefix(id), { ...cancel, limit: 1 })
    // The sweep writes it before the claims go.
    return entries.length === 0 && (await scrub.driver.stat(linkedAsKey(id), cancel)) === undefined
  }
  const stored = await readStored(scrub, linkedAs, decodeGarbage, cancel)
  if (stored.state !== 'unreadable') return false
  if (stored.version !== undefined) return true
  await settleUnreadable(scrub, linkedAs, stored, 'leave', cancel)
  return false
}

/** Goes through all ids behind a key. */
export async function scrubData(scrub: ScrubContext, after: string, cancel: Cancel): Promise<void> {
  const linked = await filterLinked(scrub, cancel)
  let suspects: Bytes[] = []
  let lost: string[] = []
  let seen = 0
  const settle = async (position: string): Promise<void> => {
    await settleUnlinked(scrub, suspects, cancel)
    await restoreLinkedAs(scrub, lost, cancel)
    suspects = []
    lost = []
    scrub.reach(position)
  }
  let last = after
  for await (const { bytes, now } of walkBytes(scrub, after, cancel)) {
    last = bytes.lastKey
    if (!linked.mayHave(bytes.id)) {
      if (bytes.isDamaged || now - bytes.newest >= scrub.idleMs) suspects.push(bytes)
    } else if (bytes.oldestMark !== undefined && now - bytes.oldestMark >= scrub.limits.leaseMs) {
      scrub.tell({ kind: 'condemned', key: `data/${bytes.id}/`, outcome: 'found' })
    }
    const isLost = (): Promise<boolean> => hasLostDigests(scrub, bytes, cancel)
    if (linked.mayHave(bytes.id) && (await orTell(scrub, last, isLost)) === true) lost.push(bytes.id)
    if (suspects.length + lost.length >= suspectsAtOnce) await settle(last)
    // With a suspect under way the position stays before it.
    else if (++seen % batchSize === 0 && suspects.length + lost.length === 0) scrub.reach(last)
  }
  await settle(last)
}
