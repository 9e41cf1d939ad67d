/** Blobs of a repository: HEAD, GET, mount, DELETE. It finds bytes through links and never looks at what a blob contains. */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { ByteRange, Cancel, ObjectStat, OpenBytes } from '../storage/driver.ts'
import { withTarget } from '../storage/target.ts'
import { lookAhead } from './ahead.ts'
import type { Context } from './context.ts'
import { noteAndDo } from './garbage.ts'
import { maxKeptBlobBytes, readRecord } from './kept.ts'
import { linkKey, linksPrefix, parseLinkKey } from './layout.ts'
import { findSoundLink, type Link, readLink, shareLink } from './links.ts'
import type { Blobs, OpenBlob } from './registry.ts'
import { openSegments } from './segments.ts'

/** Repositories looked at for a mount without `from`. */
const maxMountCandidates = 16

/** How often a request starts again because somebody else changed the link meanwhile. */
const maxAttempts = 10

function unknown(digest: Digest): OciError {
  return new OciError('BLOB_UNKNOWN', 'the repository does not hold this blob', { detail: { digest } })
}

/** The key of the bytes, where they lie in one piece. */
function soleSegmentOf(link: Link | undefined): string | undefined {
  const [segment, ...more] = link?.segments ?? []
  return more.length > 0 ? undefined : segment?.key
}

/** The same for a client that is sent there; `undefined` for a small blob, which is here before he has asked elsewhere. */
function signableKeyOf(link: Link | undefined): string | undefined {
  return link === undefined || link.size <= maxKeptBlobBytes ? undefined : soleSegmentOf(link)
}

async function openRanges(
  context: Context,
  link: Link,
  ranges: readonly ByteRange[],
  cancel: Cancel,
): Promise<readonly OpenBytes[] | undefined> {
  const opened: OpenBytes[] = []
  const closeAll = async (): Promise<void> => {
    await Promise.allSettled(opened.map((part) => part.close()))
  }
  try {
    for (const range of ranges) {
      const part = await openSegments(context.driver, link.segments, range, cancel)
      if (part === undefined) {
        await closeAll()
        return undefined
      }
      opened.push(part)
    }
    return opened
  } catch (error) {
    await closeAll()
    throw error
  }
}

/**
 * The bytes of a small blob; they are read once, and from then on the store is asked whether they are still there. `gone` when they are not; `undefined` for a
 * blob that is to be opened: one that is large or lies in several segments, or bytes that are not what the link says.
 */
async function readSmall(
  { driver, kept }: Context,
  { size, segments }: Link,
  cancel: Cancel,
): Promise<Buffer | 'gone' | undefined> {
  const [segment, ...more] = segments
  if (kept === undefined || size > maxKeptBlobBytes || segment === undefined || more.length > 0) return undefined
  const stored = await readRecord(driver, kept.blobs, segment.key, (value) => value, cancel)
  if (stored === undefined) return 'gone'
  return stored.bytes.length === size ? stored.bytes : undefined
}

/** A range of bytes that are in memory. */
function openBuffer(bytes: Buffer, { start, end }: ByteRange): OpenBytes {
  const part = bytes.subarray(start, end)
  return {
    size: part.length,
    async copyTo(target, options = {}) {
      if (part.length > 0) await withTarget(target, options, (write) => write(part))
    },
    close: async () => undefined,
  }
}

async function openLink(
  context: Context,
  link: Link,
  ranges: readonly ByteRange[],
  cancel: Cancel,
): Promise<OpenBlob | undefined> {
  const { digest, size } = link
  const bytes = await readSmall(context, link, cancel)
  if (bytes === 'gone') return undefined
  if (bytes !== undefined) {
    const parts = ranges.map((range) => openBuffer(bytes, range))
    return { digest, size, bytes, parts, close: async () => undefined }
  }
  const parts = await openRanges(context, link, ranges, cancel)
  if (parts === undefined) return undefined
  const close = async (): Promise<void> => {
    await Promise.all(parts.map((part) => part.close()))
  }
  return { digest, size, parts, close }
}

/** `held`: our link is there, and cannot be relied on now; no other can be made. */
type Linked = 'sound' | 'held' | 'none'

/** Makes our link from another's; ours stays when there is one. */
async function linkFrom(context: Context, source: Link, repository: RepositoryName, cancel: Cancel): Promise<Linked> {
  const { link, isSound } = await shareLink(context, source, repository, cancel)
  return isSound ? 'sound' : link === undefined ? 'none' : 'held'
}

async function mountFromAny(
  context: Context,
  repository: RepositoryName,
  digest: Digest,
  mayPull: (repository: RepositoryName) => boolean | Promise<boolean>,
  cancel: Cancel,
): Promise<boolean> {
  const ours = await findSoundLink(context, repository, digest, 'renew', cancel)
  if (typeof ours === 'object') return true
  const page = await context.driver.list(linksPrefix(digest), { ...cancel, limit: maxMountCandidates })
  for (const { key } of page.entries) {
    const owner = parseLinkKey(key)
    if (owner === repository || !(await mayPull(owner))) continue
    const source = await readLink(context, owner, digest, cancel)
    const linked = source === undefined ? 'none' : await linkFrom(context, source, repository, cancel)
    if (linked !== 'none') return linked === 'sound'
  }
  return false
}

async function removeBlob(context: Context, repository: RepositoryName, digest: Digest, cancel: Cancel): Promise<void> {
  const key = linkKey(digest, repository)
  for (let i = 0; i < maxAttempts; i++) {
    const link = await readLink(context, repository, digest, cancel)
    if (link === undefined) throw unknown(digest)
    const { id } = link
    const garbage = { digests: [digest], id, until: { kind: 'link', key, id } } as const
    const outcome = await noteAndDo(context, garbage, cancel, () =>
      context.driver.remove(key, { ...cancel, ifUnchanged: link.version }),
    )
    if (outcome === 'removed') return
    if (outcome === 'absent') throw unknown(digest)
  }
  throw new OciError('UNAVAILABLE', 'the blob is being uploaded over and over; try again')
}

/** The blobs of the local registry. */
export function createBlobs(context: Context): Blobs {
  return {
    async stat(repository, digest, cancel = {}) {
      const link = await findSoundLink(context, repository, digest, 'renew', cancel)
      // Also while the bytes are contested: whoever uploads them again is safe either way.
      if (typeof link !== 'object') throw unknown(digest)
      return { digest, size: link.size }
    },

    async locate(repository, digest, cancel = {}) {
      const { pathOf } = context.driver
      if (pathOf === undefined) return undefined
      const link = await findSoundLink(context, repository, digest, 'as it is', cancel)
      if (typeof link !== 'object') return undefined
      const key = soleSegmentOf(link)
      return key === undefined ? undefined : { digest, size: link.size, path: pathOf(key) }
    },

    async sign(repository, digest, cancel = {}) {
      const { driver, kept } = context
      if (driver.signUrl === undefined) return undefined
      // Readers prove: the link counts only if the bytes it names are there. The client opens them, so they are looked at here.
      const look = async (link: Link, how: Cancel): Promise<ObjectStat | undefined> => {
        const key = signableKeyOf(link)
        return key === undefined ? undefined : driver.stat(key, how)
      }
      const recall = (): Link | undefined => kept?.links.get(linkKey(digest, repository))
      using ahead = lookAhead(driver, { ...cancel, recall, look })
      const link = await readLink(context, repository, digest, cancel)
      const key = signableKeyOf(link)
      if (link === undefined || key === undefined) return undefined
      const stored = await ahead.resolve(link)
      if (stored?.size !== link.size) return undefined
      return { digest, size: link.size, url: await driver.signUrl(key, cancel) }
    },

    async open(repository, digest, choose, cancel = {}) {
      const { driver, kept } = context
      const look = async (link: Link, how: Cancel): Promise<OpenBlob | undefined> =>
        openLink(context, link, choose(link.size), how)
      const recall = (): Link | undefined => kept?.links.get(linkKey(digest, repository))
      using ahead = lookAhead(driver, { ...cancel, recall, look, giveUp: (blob) => blob?.close() })
      let missed: string | undefined
      for (let i = 0; i < maxAttempts; i++) {
        const link = await readLink(context, repository, digest, cancel)
        // Bytes that are missing from the same link a second time are gone; another upload's link is tried.
        if (link === undefined || link.id === missed) throw unknown(digest)
        const opened = await ahead.resolve(link)
        if (opened !== undefined) return opened
        missed = link.id
      }
      throw new OciError('UNAVAILABLE', 'the blob is being uploaded over and over; try again')
    },

    async mount(repository, digest, { from, mayPull }, cancel = {}) {
      if (from === undefined) return mountFromAny(context, repository, digest, mayPull, cancel)
      if (!(await mayPull(from))) return false
      const source = await readLink(context, from, digest, cancel)
      return source !== undefined && (await linkFrom(context, source, repository, cancel)) === 'sound'
    },

    remove: (repository, digest, cancel = {}) => removeBlob(context, repository, digest, cancel),
  }
}
