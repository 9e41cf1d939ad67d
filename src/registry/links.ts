/**
 * Links: that a repository may serve a blob, and whether one can be relied on. A link counts only if the bytes it names are there and nobody
 * has marked them; that is looked at in the store each time, never remembered.
 */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { type Cancel, type ListEntry, StorageError, type StoredValue } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { noteGarbage } from './garbage.ts'
import { readRecord } from './kept.ts'
import { dataPrefix, isDataMark, linkKey, renewalKey } from './layout.ts'
import { judgeMarks, type Look, lookPastFreshMarks } from './marks.ts'
import { decodeLink, encodeRecord, type LinkRecord } from './records.ts'

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
export function readLink(
  { driver, kept }: Context,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<Link | undefined> {
  const toLink = ({ bytes, modified, version }: StoredValue): Link => ({
    ...decodeLink(bytes),
    repository,
    digest,
    modified,
    version,
  })
  return readRecord(driver, kept?.links, linkKey(digest, repository), toLink, cancel)
}

interface BytesLook extends Look {
  /** Whether every segment is there. */
  readonly bytes: boolean
  /** The store's time of this look. */
  readonly now: number
}

/** One listing tells both: marks sort before segments, renewals behind them. How old marks are is asked when there are any. */
async function lookAtBytes(
  context: Context,
  link: LinkRecord,
  { times = false, ...cancel }: Cancel & { readonly times?: boolean },
): Promise<BytesLook> {
  const { driver, limits } = context
  const prefix = dataPrefix(link.id)
  const missing = new Set(link.segments.map((segment) => segment.key))
  const last = link.segments.at(-1)?.key ?? ''
  const marks: ListEntry[] = []
  let after = prefix
  for (;;) {
    // Room for marks and for segments of bodies that lost their claim; a listing that was too short is gone on with.
    const page = await driver.list(prefix, { ...cancel, after, limit: Math.min(missing.size + 16, 1000), times })
    for (const entry of page.entries) {
      if (isDataMark(entry.key)) marks.push(entry)
      else missing.delete(entry.key)
    }
    after = page.entries.at(-1)?.key ?? after
    if (!page.more || missing.size === 0 || after > last) {
      if (marks.length > 0 && !times) return lookAtBytes(context, link, { ...cancel, times: true })
      return { marks: judgeMarks(marks, page.now, limits.freshMarkMs), bytes: missing.size === 0, now: page.now }
    }
  }
}

/** Whether every byte of the link is there, marked or not: whoever reads does not ask for marks. */
export async function hasBytes(context: Context, link: LinkRecord, cancel: Cancel): Promise<boolean> {
  return (await lookAtBytes(context, link, cancel)).bytes
}

/**
 * When the link was renewed last, if it needed to be: by this machine's clock, which decides nothing but whether to ask. Asked before the look that
 * counts, because a renewal that appears after it may have come too late for a collector.
 */
async function readRenewal(context: Context, link: Link, cancel: Cancel): Promise<number> {
  if (context.now() - link.modified < context.limits.leaseMs / 2) return link.modified
  const renewal = await context.driver.stat(renewalKey(link.id, link.repository), cancel)
  return Math.max(link.modified, renewal?.modified ?? 0)
}

/** `contested`: somebody has just marked the bytes and has neither deleted them nor withdrawn the mark yet. */
export type Soundness = 'sound' | 'contested' | 'lost'

/** Whether the link can be relied on now; `renew` also makes it young, and does so before the look that counts. */
export async function judgeLink(
  context: Context,
  link: Link,
  intent: 'renew' | 'as it is',
  cancel: Cancel,
): Promise<Soundness> {
  const look = (): Promise<BytesLook> => lookPastFreshMarks(context, () => lookAtBytes(context, link, cancel), cancel)
  const renewed = intent === 'renew' ? await readRenewal(context, link, cancel) : 0
  let seen = await look()
  if (intent === 'renew' && seen.bytes && seen.marks === 'none' && seen.now - renewed >= context.limits.leaseMs / 2) {
    const key = renewalKey(link.id, link.repository)
    await context.driver.write(key, Buffer.alloc(0), cancel)
    seen = await look()
    if (!seen.bytes) await context.driver.remove(key, cancel)
    context.count?.('lease renewed')
  }
  if (!seen.bytes || seen.marks === 'old') return 'lost'
  return seen.marks === 'none' ? 'sound' : 'contested'
}

/** Whether the link can be relied on now, made young. */
export async function isSound(context: Context, link: Link, cancel: Cancel): Promise<boolean> {
  return (await judgeLink(context, link, 'renew', cancel)) === 'sound'
}

/** Our link to the bytes that another link serves. */
export interface SharedLink {
  /** `undefined` when there is none, after all. */
  readonly link: Link | undefined
  /** Whether it can be relied on. */
  readonly isSound: boolean
}

/** Tells the sweep of bytes that a link of ours may lead to; also for a client who is gone by now. */
function tellSweep(context: Context, { id, digest }: Pick<Link, 'id' | 'digest'>): Promise<void> {
  return noteGarbage(context, { digests: [digest], id }, {})
}

/**
 * Looks at a link that was just made. One that cannot be relied on stays while its bytes are there: the mark may have been withdrawn because of this very
 * link, and somebody else may rely on the link since; so the sweep is told of it. A link to bytes that are gone is of no use to anybody.
 */
async function lookAtNew(
  context: Context,
  { id, digest }: Link,
  repository: RepositoryName,
  cancel: Cancel,
): Promise<SharedLink> {
  const link = await readLink(context, repository, digest, cancel)
  if (link === undefined) return { link, isSound: false }
  if (await isSound(context, link, cancel)) return { link, isSound: true }
  // Another upload has replaced it.
  if (link.id !== id) return { link, isSound: false }
  if (await hasBytes(context, link, {})) {
    await tellSweep(context, link)
    return { link, isSound: false }
  }
  // Where a removal looks first it might hit what replaced the link; a dead one does no harm.
  if (context.driver.removal !== 'exact') return { link, isSound: false }
  await context.driver.remove(linkKey(digest, repository), { ifUnchanged: link.version })
  return { link: undefined, isSound: false }
}

/** Makes our link from another's and looks at it; ours stays when there is one. */
export async function shareLink(
  context: Context,
  source: Link,
  repository: RepositoryName,
  cancel: Cancel,
): Promise<SharedLink> {
  const { id, size, segments, digest } = source
  let mayBeThere = false
  try {
    const record = encodeRecord({ id, size, segments })
    const written = context.driver.write(linkKey(digest, repository), record, { ...cancel, ifAbsent: true })
    const outcome = await written.catch((error: unknown) => {
      mayBeThere = error instanceof StorageError && error.reason === 'unavailable'
      throw error
    })
    mayBeThere = outcome === 'written'
    if (mayBeThere) return await lookAtNew(context, source, repository, cancel)
    const link = await readLink(context, repository, digest, cancel)
    return { link, isSound: link !== undefined && (await isSound(context, link, cancel)) }
  } catch (error) {
    // A collector that looked before the write knows nothing of this link to the bytes that it deletes.
    if (mayBeThere) await tellSweep(context, source).catch(() => undefined)
    throw error
  }
}

/**
 * The link of a repository to a blob, if it can be relied on now. A link that cannot may just have been replaced by another upload: then the
 * new one is looked at. Without one: `contested` when waiting a little longer may help, else `lost`.
 */
export async function findSoundLink(
  context: Context,
  repository: RepositoryName,
  digest: Digest,
  intent: 'renew' | 'as it is',
  cancel: Cancel,
): Promise<Link | Exclude<Soundness, 'sound'>> {
  let link = await readLink(context, repository, digest, cancel)
  for (let i = 0; i < maxReplacements; i++) {
    if (link === undefined) return 'lost'
    const soundness = await judgeLink(context, link, intent, cancel)
    if (soundness === 'sound') return link
    const again = await readLink(context, repository, digest, cancel)
    if (again?.id === link.id) return soundness
    link = again
  }
  return 'contested'
}
