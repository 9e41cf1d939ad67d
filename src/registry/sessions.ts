/** Upload sessions as the store has them: any process continues any upload by reading these keys. */
import type { DigestAlgorithm } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/name.ts'
import { listAll } from '../storage/list-all.ts'
import type { Cancel } from '../storage/driver.ts'
import { mapConcurrently } from './concurrently.ts'
import type { Context } from './context.ts'
import { noteGarbage } from './garbage.ts'
import { claimKey, parseClaimKey, sessionKey, uploadPrefix } from './layout.ts'
import {
  type ClaimRecord,
  decodeClaim,
  DamagedRecordError,
  decodeSession,
  encodeRecord,
  type Segment,
} from './records.ts'

/** An open upload: what its last claim says, or its session when there is none. */
export interface Upload extends Omit<ClaimRecord, 'segment'> {
  readonly id: string
  /** The last body; absent when there is none. */
  readonly last?: Segment | undefined
}

const idPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function uploadUnknown(id: string): OciError {
  return new OciError(
    'BLOB_UPLOAD_UNKNOWN',
    'there is no such upload session in this repository; it ended or was cancelled',
    {
      detail: { id: id.slice(0, 100) },
    },
  )
}

/** These records are written without a sync: what power loss has torn is an upload that has ended, and its client begins anew. */
function decodeOrEnd<T>(id: string, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (error instanceof DamagedRecordError) throw uploadUnknown(id)
    throw error
  }
}

/** Opens a session under a new id, which also names the bytes and is never used again. */
export async function openSession(
  { driver, createId, now }: Context,
  repository: RepositoryName,
  session: { readonly algorithm?: DigestAlgorithm | undefined; readonly by: string },
  cancel: Cancel,
): Promise<Upload> {
  const id = createId()
  const algorithm = session.algorithm ?? 'sha256'
  const record = { repository, algorithm, at: now(), by: session.by }
  await driver.write(sessionKey(id), encodeRecord(record), { ...cancel, durable: false })
  return { id, repository, algorithm, chunks: 0, size: 0 }
}

/** Reads where an upload stands. BLOB_UPLOAD_UNKNOWN when it has no session, or belongs to another repository. */
export async function loadUpload(
  { driver }: Context,
  repository: RepositoryName,
  id: string,
  cancel: Cancel,
): Promise<Upload> {
  if (!idPattern.test(id)) throw uploadUnknown(id)
  let lastClaim: string | undefined
  let isOpen = false
  for await (const { key } of listAll(driver, uploadPrefix(id), cancel)) {
    if (parseClaimKey(key) !== undefined) lastClaim = key
    else if (key === sessionKey(id)) isOpen = true
  }
  if (!isOpen) throw uploadUnknown(id)
  const stored = await driver.read(lastClaim ?? sessionKey(id), cancel)
  if (stored === undefined) throw uploadUnknown(id)
  if (lastClaim === undefined) {
    const session = decodeOrEnd(id, () => decodeSession(stored.bytes))
    if (session.repository !== repository) throw uploadUnknown(id)
    return { id, repository, algorithm: session.algorithm, chunks: 0, size: 0 }
  }
  const { segment, ...claimed } = decodeOrEnd(id, () => decodeClaim(stored.bytes))
  if (claimed.repository !== repository) throw uploadUnknown(id)
  return { ...claimed, id, last: segment }
}

/** Whether the session is there now: nothing was taken back before this read. */
export async function isSessionOpen({ driver }: Context, id: string, cancel: Cancel): Promise<boolean> {
  return (await driver.read(sessionKey(id), cancel)) !== undefined
}

/**
 * Claims the place where an upload stands for the body in `segment`: two bodies never mix, exactly one wins. Returns the upload as it stands then,
 * or `undefined` when another body was first.
 */
export async function claim(
  { driver }: Context,
  upload: Upload,
  segment: Segment,
  digest: Upload['digest'],
  cancel: Cancel,
): Promise<Upload | undefined> {
  const { id, repository, algorithm } = upload
  const grown = { repository, algorithm, chunks: upload.chunks + 1, size: upload.size + segment.size, digest }
  const options = { ...cancel, ifAbsent: true, durable: false }
  const outcome = await driver.write(claimKey(id, upload.size), encodeRecord({ ...grown, segment }), options)
  return outcome === 'written' ? { ...grown, id, last: segment } : undefined
}

/** All bodies of an upload, in order. One that came in a single body, as nearly all do, needs no look at the store. */
export async function readUploadSegments(
  { driver, limits }: Context,
  { id, size, chunks, last }: Upload,
  cancel: Cancel,
): Promise<readonly Segment[]> {
  if (last === undefined) return []
  if (chunks === 1) return [last]
  const keys: string[] = []
  for await (const { key } of listAll(driver, uploadPrefix(id), cancel)) {
    const offset = parseClaimKey(key)
    if (offset !== undefined && offset < size) keys.push(key)
  }
  const segments = await mapConcurrently(keys, limits.maxParallelCalls, async (key) => {
    const stored = await driver.read(key, cancel)
    // Claims stay until the upload has ended.
    if (stored === undefined) throw uploadUnknown(id)
    return decodeOrEnd(id, () => decodeClaim(stored.bytes)).segment
  })
  const sum = segments.reduce((bytes, each) => bytes + each.size, 0)
  // Power loss may take a claim and leave a later one: the bytes of the upload are not told any more, and the client begins anew.
  if (sum !== size) throw uploadUnknown(id)
  return segments
}

/** Ends a session whose bytes nobody needs through it: the sweep looks at them, a request never deletes claimed bytes. */
export async function endSession(context: Context, id: string, cancel: Cancel): Promise<void> {
  await noteGarbage(context, { id }, cancel)
  await context.driver.remove(sessionKey(id), cancel)
}

/** Ends a session whose bytes are a blob now. After power loss it may be there again: then it is idle, and the sweep ends it. */
export async function forgetSession({ driver }: Context, id: string, cancel: Cancel): Promise<void> {
  await driver.remove(sessionKey(id), { ...cancel, durable: false })
}
