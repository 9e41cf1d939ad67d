/**
 * Claims that cannot be read, as power loss may leave them, and what is kept of claims that are gone. They say as which digests bytes may be linked, and the
 * sweep must not look at the bytes without knowing that: so the digests are found from the links and written anew before what cannot be read goes.
 */
import type { Digest } from '../../oci/digest.ts'
import { listAll } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import {
  closedAsKey,
  dataPrefix,
  isAboutData,
  isDataMark,
  kindOfUploadKey,
  linkedAsKey,
  sessionKey,
  uploadPrefix,
} from '../layout.ts'
import { encodeRecord } from '../records.ts'
import { hashBytes } from '../sweep/digests.ts'
import { mayRepair, type ScrubContext } from './context.ts'
import { orTell } from './stored.ts'
import { walkLinks } from './walk-links.ts'

/** The claims that cannot be read, by upload. */
export type LostClaims = Map<string, readonly string[]>

/** Ends the upload as far as that publishes nothing any more; false while a copy of it may still land. */
async function close({ driver }: ScrubContext, id: string, cancel: Cancel): Promise<boolean> {
  let wasOpen = (await driver.remove(sessionKey(id), cancel)) === 'removed'
  for await (const { key } of listAll(driver, uploadPrefix(id), cancel)) {
    if (kindOfUploadKey(key) !== 'close') continue
    await driver.remove(key, cancel)
    wasOpen = true
  }
  return driver.promotion === 'move' || !wasOpen
}

/** The digests as which these bytes are linked; `undefined` while a link cannot be read: it may name any of them. */
async function findDigests(
  scrub: ScrubContext,
  ids: ReadonlySet<string>,
  cancel: Cancel,
): Promise<ReadonlyMap<string, ReadonlySet<Digest>> | undefined> {
  const found = new Map<string, Set<Digest>>()
  for await (const walked of walkLinks(scrub, 'blobs/', cancel)) {
    if (walked.kind === 'unreadable') return undefined
    if (walked.kind !== 'link' || !ids.has(walked.link.record.id)) continue
    const { digest, record } = walked.link
    found.set(record.id, (found.get(record.id) ?? new Set()).add(digest))
  }
  return found
}

/** What the bytes themselves say: a mount that has read a link may be about to write it again, where none is at this moment. */
async function hashSegments({ driver }: ScrubContext, id: string, cancel: Cancel): Promise<Iterable<Digest>> {
  const segments: string[] = []
  for await (const { key } of listAll(driver, dataPrefix(id), cancel)) {
    if (!isDataMark(key) && !isAboutData(key)) segments.push(key)
  }
  const found = await hashBytes({ driver }, segments, cancel)
  return found === undefined || found === 'ambiguous' ? [] : found
}

/** Settles lost claims; none is likely, so all links of the store may be read for them. */
export async function restoreDigests(scrub: ScrubContext, lost: LostClaims, cancel: Cancel): Promise<void> {
  if (lost.size === 0) return
  const { driver, tell } = scrub
  const closed = new Set<string>()
  for (const id of mayRepair(scrub) ? lost.keys() : []) {
    if ((await orTell(scrub, uploadPrefix(id), () => close(scrub, id, cancel))) === true) closed.add(id)
  }
  const found = closed.size === 0 ? undefined : await findDigests(scrub, closed, cancel)
  const settle = async (id: string, claims: readonly string[], linked: ReadonlySet<Digest>): Promise<true> => {
    const said = linked.size === 0 ? [] : [...linked, ...(await hashSegments(scrub, id, cancel))]
    for (const digest of said) await driver.write(closedAsKey(id, digest), Buffer.alloc(0), cancel)
    // What nobody links is not to be ended under the digests of its other claims alone: the bytes are looked at as all that nobody links.
    const keys: string[] = []
    for await (const { key } of listAll(driver, uploadPrefix(id), cancel)) keys.push(key)
    for (const key of linked.size === 0 ? keys : claims) await driver.remove(key, cancel)
    return true
  }
  for (const [id, claims] of lost) {
    const linked = found?.get(id) ?? new Set<Digest>()
    const isSettleable = found !== undefined && closed.has(id)
    const isSettled = isSettleable && (await orTell(scrub, uploadPrefix(id), () => settle(id, claims, linked))) === true
    tell({
      kind: 'unreadable',
      key: claims[0] ?? uploadPrefix(id),
      detail: 'a claim of an upload',
      outcome: isSettled ? 'repaired' : 'found',
    })
  }
}

/** Writes anew as which digests bytes are linked, where that cannot be read. Bytes without a link keep it: they are looked at as all that nobody links. */
export async function restoreLinkedAs(scrub: ScrubContext, ids: readonly string[], cancel: Cancel): Promise<void> {
  if (ids.length === 0) return
  const found = await findDigests(scrub, new Set(ids), cancel)
  for (const id of ids) {
    const linked = found?.get(id)
    const key = linkedAsKey(id)
    const settle = async (): Promise<boolean> => {
      if (!mayRepair(scrub) || linked === undefined) return false
      const digests = [...new Set([...linked, ...(await hashSegments(scrub, id, cancel))])]
      await scrub.driver.write(key, encodeRecord({ digests }), { ...cancel, reserve: true })
      return true
    }
    const isSettled = (await orTell(scrub, key, settle)) === true
    scrub.tell({ kind: 'unreadable', key, outcome: isSettled ? 'repaired' : 'found' })
  }
}
