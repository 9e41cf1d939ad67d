/**
 * Links: that a repository may serve a blob, and whether one can be relied on. A link counts only if the bytes it names are there and nobody
 * has marked them; that is looked at in the store each time, never remembered.
 */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Cancel, ListEntry } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { dataPrefix, isDataMark, linkKey, renewalKey } from './layout.ts'
import { judgeMarks, type Look, lookPastFreshMarks } from './marks.ts'
import { decodeLink, type LinkRecord } from './records.ts'

export interface Link extends LinkRecord {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** The store's time of its last write, in ms. */
  readonly modified: number
  readonly version: string
}

/** How many times a link may be replaced by another upload while one request looks at it. */
const maxReplacements = 10

/** The link of a repository to a blob, whether or not its bytes are there. */
export async function readLink(
  { driver }: Context,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<Link | undefined> {
  const stored = await driver.read(linkKey(digest, repository), cancel)
  if (stored === undefined) return undefined
  return { ...decodeLink(stored.bytes), repository, digest, modified: stored.modified, version: stored.version }
}

interface BytesLook extends Look {
  /** Whether every segment is there. */
  readonly bytes: boolean
  /** The store's time of this look. */
  readonly now: number
}

/** One listing tells both: marks sort before segments, renewals behind them. */
async function lookAtBytes({ driver, limits }: Context, link: LinkRecord, cancel: Cancel): Promise<BytesLook> {
  const prefix = dataPrefix(link.id)
  const missing = new Set(link.segments.map((segment) => segment.key))
  const last = link.segments.at(-1)?.key ?? ''
  const marks: ListEntry[] = []
  let after = prefix
  for (;;) {
    // Room for marks and for segments of bodies that lost their claim; a listing that was too short is gone on with.
    const page = await driver.list(prefix, { ...cancel, after, limit: Math.min(missing.size + 16, 1000), times: true })
    for (const entry of page.entries) {
      if (isDataMark(entry.key)) marks.push(entry)
      else missing.delete(entry.key)
    }
    after = page.entries.at(-1)?.key ?? after
    if (!page.more || missing.size === 0 || after > last) {
      const now = page.now ?? 0
      return { marks: judgeMarks(marks, now, limits.freshMarkMs), bytes: missing.size === 0, now }
    }
  }
}

async function isRenewalDue(context: Context, link: Link, now: number, cancel: Cancel): Promise<boolean> {
  const half = context.limits.leaseMs / 2
  if (now - link.modified < half) return false
  const renewal = await context.driver.stat(renewalKey(link.id, link.repository), cancel)
  return renewal === undefined || now - renewal.modified >= half
}

/** Whether the link can be relied on now; `renew` also makes it young, and does so before the look that counts. */
export async function isSound(
  context: Context,
  link: Link,
  intent: 'renew' | 'as it is',
  cancel: Cancel,
): Promise<boolean> {
  const look = (): Promise<BytesLook> => lookPastFreshMarks(context, () => lookAtBytes(context, link, cancel), cancel)
  let seen = await look()
  if (intent === 'renew' && seen.bytes && (await isRenewalDue(context, link, seen.now, cancel))) {
    const key = renewalKey(link.id, link.repository)
    await context.driver.write(key, Buffer.alloc(0), cancel)
    seen = await look()
    if (!seen.bytes) await context.driver.remove(key, cancel)
  }
  return seen.bytes && seen.marks === 'none'
}

/**
 * The link of a repository to a blob, if it can be relied on now. A link that cannot may just have been replaced by another upload: then the
 * new one is looked at.
 */
export async function findSoundLink(
  context: Context,
  repository: RepositoryName,
  digest: Digest,
  intent: 'renew' | 'as it is',
  cancel: Cancel,
): Promise<Link | undefined> {
  let link = await readLink(context, repository, digest, cancel)
  for (let i = 0; i < maxReplacements; i++) {
    if (link === undefined || (await isSound(context, link, intent, cancel))) return link
    const again = await readLink(context, repository, digest, cancel)
    if (again?.id === link.id) return undefined
    link = again
  }
  throw new OciError('UNAVAILABLE', 'the blob is being uploaded over and over; try again')
}
