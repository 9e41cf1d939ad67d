/**
 * Closing an upload: its bytes become a blob of the repository. The link is written first as an entry of the upload and promoted by the store, so
 * that whoever takes the upload back finds it; bytes are never copied. Protocol: DESIGN section 4, "Upload" 4–6.
 */
import type { Digest } from '../oci/digest.ts'
import type { Cancel, ListEntry } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { noteAndDo } from './garbage.ts'
import { closedAsKey, closeKey, linkKey, linksPrefix, parseLinkKey, segmentKey } from './layout.ts'
import { isSound, type Link, readLink, shareLink } from './links.ts'
import { encodeRecord, type Segment } from './records.ts'
import { type BlobInfo, OutOfOrderError } from './registry.ts'
import {
  claim,
  endSession,
  forgetSession,
  isSessionOpen,
  loadUpload,
  readUploadSegments,
  type Upload,
  uploadUnknown,
} from './sessions.ts'

/** A body that was written, compared and not yet sealed. */
export interface Body {
  readonly segment: Segment
  readonly seal: () => Promise<void>
}

/** What a closing request brings: a body when it had one, and the digest of the whole. */
export interface Closing {
  readonly body: Body | undefined
  readonly digest: Digest
}

/** An empty blob has a segment too: that it is there is what tells readers that the sweep has not taken the blob. */
async function openEmptyBody({ driver, createId }: Context, id: string, cancel: Cancel): Promise<Body> {
  const key = segmentKey(id, 0, createId())
  const writer = await driver.writeStream(key, cancel)
  return { segment: { key, size: 0 }, seal: () => writer.seal() }
}

/** Seals the body while the entry is written: two waits for the disk are one. Nothing relies on the entry before the claim. */
async function sealAndEnter(
  { driver }: Context,
  { seal }: Body,
  entry: string,
  enter: () => Promise<unknown>,
): Promise<void> {
  const outcomes = await Promise.allSettled([seal(), enter()])
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed === undefined) return
  await driver.remove(entry, { durable: false }).catch(() => undefined)
  throw failed.reason
}

/** The upload with the last body claimed, and the entry that will become the link. */
async function claimAndEnter(
  context: Context,
  upload: Upload,
  closing: Closing,
  entry: string,
  cancel: Cancel,
): Promise<Upload> {
  const { driver } = context
  const before = await readUploadSegments(context, upload, cancel)
  const enter = (size: number, segments: readonly Segment[]): Promise<unknown> =>
    driver.write(entry, encodeRecord({ id: upload.id, size, segments }), { ...cancel, durable: false, toPromote: true })
  const body = closing.body ?? (upload.chunks === 0 ? await openEmptyBody(context, upload.id, cancel) : undefined)
  if (body === undefined) {
    if (upload.digest !== closing.digest) {
      // Durable: the claims tell another digest, and nothing would look for this one.
      await driver.write(closedAsKey(upload.id, closing.digest), Buffer.alloc(0), cancel)
    }
    await enter(upload.size, before)
    return upload
  }
  const { segment } = body
  await sealAndEnter(context, body, entry, () => enter(upload.size + segment.size, [...before, segment]))
  const claimed = await claim(context, upload, segment, closing.digest, cancel)
  if (claimed !== undefined) return claimed
  await Promise.all([driver.remove(entry), driver.remove(segment.key)])
  throw new OutOfOrderError((await loadUpload(context, upload.repository, upload.id, cancel)).size)
}

/** Links of other repositories that are looked at for bytes to share, where some may lead nowhere. */
const maxShareCandidates = 16

async function findShareable(
  context: Context,
  entries: readonly ListEntry[],
  digest: Digest,
  cancel: Cancel,
): Promise<Link | undefined> {
  for (const { key } of entries) {
    const link = await readLink(context, parseLinkKey(key), digest, cancel)
    const [first] = link?.segments ?? []
    if (link === undefined || first === undefined) continue
    if (context.driver.removal === 'exact' || (await context.driver.stat(first.key, cancel)) !== undefined) return link
  }
  return undefined
}

interface Existing {
  readonly link: Link
  readonly isSound: boolean
}

/** Our own link, or a new one with the content of another repository's: the bytes are shared, ours are there to fall back on. */
async function findExisting(
  context: Context,
  upload: Upload,
  digest: Digest,
  cancel: Cancel,
): Promise<Existing | undefined> {
  const { driver } = context
  // Where dead links stay, the first may lead nowhere.
  const limit = driver.removal === 'exact' ? 1 : maxShareCandidates
  const { entries } = await driver.list(linksPrefix(digest), { ...cancel, limit })
  if (entries.length === 0) return undefined
  const ours = await readLink(context, upload.repository, digest, cancel)
  if (ours !== undefined) return { link: ours, isSound: await isSound(context, ours, cancel) }
  const other = await findShareable(context, entries, digest, cancel)
  if (other === undefined) return undefined
  const { link, isSound: isGood } = await shareLink(context, other, upload.repository, cancel)
  return link && { link, isSound: isGood }
}

/**
 * Makes the upload's bytes the blob `digest` of its repository. The caller has compared the digest. BLOB_UPLOAD_UNKNOWN when the upload was taken
 * back meanwhile, `OutOfOrderError` when another body took the place of this one.
 */
export async function closeUpload(
  context: Context,
  upload: Upload,
  digest: Digest,
  closing: Closing,
  cancel: Cancel,
): Promise<BlobInfo> {
  const { driver, createId } = context
  const entry = closeKey(upload.id, createId())
  const { id, repository, size } = await claimAndEnter(context, upload, closing, entry, cancel)
  if (!(await isSessionOpen(context, id, cancel))) {
    await driver.remove(entry, cancel)
    throw uploadUnknown(id)
  }
  const blob = { digest, size }
  const existing = await findExisting(context, upload, digest, cancel)
  const there = existing?.link.id
  if (existing?.isSound === true) {
    if (there === id) await forgetSession(context, id, cancel)
    else await endSession(context, id, cancel)
    await driver.remove(entry, cancel)
    return blob
  }
  if (there === id) {
    // An earlier close of this very upload made the link, and since then somebody began to collect the bytes: they are not ours to link again.
    await endSession(context, id, cancel)
    throw uploadUnknown(id)
  }
  const key = linkKey(digest, repository)
  const publish = (): ReturnType<typeof driver.promote> => driver.promote(entry, key, cancel)
  const lost =
    there === undefined ? undefined : { digests: [digest], id: there, until: { kind: 'link', key, id: there } as const }
  const outcome = await (lost === undefined ? publish() : noteAndDo(context, lost, cancel, publish))
  if (outcome === 'refused') throw uploadUnknown(id)
  await forgetSession(context, id, cancel)
  return blob
}
