/** Upload sessions: POST, PATCH, PUT, GET, DELETE. Protocol: DESIGN section 4, "Upload"; closing is in `close.ts`. */
import type { Hash } from 'node:crypto'
import { algorithmOf, createHasher, type Digest, type DigestAlgorithm } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { type Cancel, StorageError } from '../storage/driver.ts'
import { closeUpload } from './close.ts'
import type { Context } from './context.ts'
import { checkLength, checkOrder, digestSoFar, receive } from './receive.ts'
import { type BlobInfo, type Chunk, OutOfOrderError, type Uploads, type UploadStatus } from './registry.ts'
import { createRunningHashes, type RunningHashes } from './running-hashes.ts'
import { readSegments } from './segments.ts'
import { createOpenUploads } from './open-uploads.ts'
import {
  claim,
  endSession,
  loadUpload,
  openSession,
  readUploadSegments,
  type Upload,
  uploadUnknown,
} from './sessions.ts'

/** Where the winner of a race for one place left the upload. */
async function standsNow(context: Context, upload: Upload, cancel: Cancel): Promise<OutOfOrderError> {
  return new OutOfOrderError((await loadUpload(context, upload.repository, upload.id, cancel)).size)
}

async function appendChunk(
  context: Context,
  hashes: RunningHashes,
  upload: Upload,
  chunk: Chunk,
  cancel: Cancel,
): Promise<UploadStatus> {
  const { id, algorithm } = upload
  if (chunk.length === 0 && chunk.range === undefined) return { id, offset: upload.size }
  checkOrder(context, upload, chunk)
  const hasher = hashes.take(id, upload.size, algorithm)
  const received = await receive(context, upload, chunk, hasher)
  const { key, size, writer, broken } = received
  if (writer === undefined) {
    if (hasher !== undefined) hashes.keep(id, { algorithm, offset: upload.size, hasher })
    checkLength(chunk, received)
    if (broken !== undefined) throw broken.error
    return { id, offset: upload.size }
  }
  try {
    checkLength(chunk, received)
  } catch (error) {
    await writer.discard()
    throw error
  }
  await writer.seal()
  const digest = hasher && digestSoFar(algorithm, hasher)
  // What came of a broken body is kept, and its sender is gone: the store work must not be cancelled with it.
  const claimed = await claim(context, upload, { key, size }, digest, broken === undefined ? cancel : {})
  if (claimed === undefined) {
    await context.driver.remove(key)
    throw await standsNow(context, upload, cancel)
  }
  if (hasher !== undefined) hashes.keep(id, { algorithm, offset: claimed.size, hasher })
  if (broken !== undefined) throw broken.error
  return { id, offset: claimed.size }
}

/** A hasher that has seen what the upload holds: the running one, else the bytes are read back. */
async function hasherFor(
  context: Context,
  hashes: RunningHashes,
  upload: Upload,
  algorithm: DigestAlgorithm,
  cancel: Cancel,
): Promise<Hash> {
  const running = hashes.take(upload.id, upload.size, algorithm)
  if (running !== undefined) return running
  const hasher = createHasher(algorithm)
  const segments = await readUploadSegments(context, upload, cancel)
  // Taken back meanwhile, as an idle upload is: its bytes go after its session.
  if (!(await readSegments(context.driver, segments, (bytes) => void hasher.update(bytes), cancel))) {
    throw uploadUnknown(upload.id)
  }
  return hasher
}

export function digestMismatch(asked: Digest, is: Digest): OciError {
  return new OciError('DIGEST_INVALID', `the content has the digest ${is}, not the one that was asked for`, {
    detail: { digest: asked, computed: is },
  })
}

/** PUT with a body: the digest is compared before anything is sealed, so a wrong body leaves the session as it was. */
async function closeWithChunk(
  context: Context,
  hashes: RunningHashes,
  upload: Upload,
  digest: Digest,
  chunk: Chunk,
  cancel: Cancel,
): Promise<BlobInfo> {
  checkOrder(context, upload, chunk)
  const algorithm = algorithmOf(digest)
  const hasher = await hasherFor(context, hashes, upload, algorithm, cancel)
  const received = await receive(context, upload, chunk, hasher)
  const { key, size, writer, broken } = received
  const computed = digestSoFar(algorithm, hasher)
  try {
    if (broken !== undefined) throw broken.error
    checkLength(chunk, received)
    if (computed !== digest) throw digestMismatch(digest, computed)
  } catch (error) {
    await writer?.discard()
    throw error
  }
  const body = writer && { segment: { key, size }, seal: () => writer.seal() }
  return closeUpload(context, upload, digest, { body, digest: computed }, cancel)
}

/** PUT without a body: the last claim tells the digest, unless another process or algorithm makes reading back necessary. */
async function closeAsItIs(
  context: Context,
  hashes: RunningHashes,
  upload: Upload,
  digest: Digest,
  cancel: Cancel,
): Promise<BlobInfo> {
  const algorithm = algorithmOf(digest)
  const isKnown = upload.digest !== undefined && algorithmOf(upload.digest) === algorithm
  const computed = isKnown
    ? upload.digest
    : digestSoFar(algorithm, await hasherFor(context, hashes, upload, algorithm, cancel))
  if (computed !== digest) throw digestMismatch(digest, computed)
  return closeUpload(context, upload, digest, { body: undefined, digest: computed }, cancel)
}

/** The uploads of the local registry. */
export function createUploads(context: Context): Uploads {
  const hashes = createRunningHashes(context.limits.maxRunningHashes)
  const sessions = createOpenUploads(context)

  async function close(upload: Upload, digest: Digest, chunk: Chunk | undefined, cancel: Cancel): Promise<BlobInfo> {
    const isEmpty = chunk === undefined || (chunk.length === 0 && chunk.range === undefined)
    const blob = isEmpty
      ? await closeAsItIs(context, hashes, upload, digest, cancel)
      : await closeWithChunk(context, hashes, upload, digest, chunk, cancel)
    hashes.drop(upload.id)
    sessions.ended(upload.id)
    context.count?.('upload closed')
    return blob
  }

  return {
    async start(repository, session, cancel = {}) {
      const { id } = await sessions.open(() => openSession(context, repository, session, cancel))
      context.count?.('upload started')
      return { id, offset: 0 }
    },

    async status(repository, id, cancel = {}) {
      return { id, offset: (await loadUpload(context, repository, id, cancel)).size }
    },

    async append(repository, id, chunk, cancel = {}) {
      return appendChunk(context, hashes, await loadUpload(context, repository, id, cancel), chunk, cancel)
    },

    async close(repository, id, digest, chunk, cancel = {}) {
      return close(await loadUpload(context, repository, id, cancel), digest, chunk, cancel)
    },

    async cancel(repository, id, cancel = {}) {
      await loadUpload(context, repository, id, cancel)
      await endSession(context, id, cancel)
      hashes.drop(id)
      sessions.ended(id)
      context.count?.('upload cancelled')
    },

    async put(repository, digest, chunk, { by }, cancel = {}) {
      const upload = await openSession(context, repository, { algorithm: algorithmOf(digest), by }, cancel)
      context.count?.('upload started')
      try {
        return await close(upload, digest, chunk, cancel)
      } catch (error) {
        // The note would take up the room that is kept for deletes, once for every upload that is tried; the sweep ends the session when it is idle.
        if (error instanceof StorageError && error.reason === 'full') throw error
        // Nobody knows this session, so nobody will go on with it. Should this fail too, the sweep ends it when it is idle.
        const [ended] = await Promise.allSettled([endSession(context, upload.id, {})])
        if (ended.status === 'fulfilled') context.count?.('upload cancelled')
        throw error
      }
    },
  }
}
