/** Takes one request body into the store as a segment, hashing as it comes. Nothing is visible before its claim is written. */
import type { Hash } from 'node:crypto'
import { type Digest, type DigestAlgorithm, digestOf } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { ByteWriter } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { segmentKey } from './layout.ts'
import { type Chunk, OutOfOrderError } from './registry.ts'
import type { Upload } from './sessions.ts'

/** A body that is in the store but neither sealed nor forgotten. `writer` is absent when no byte came. */
export interface Received {
  readonly key: string
  readonly size: number
  readonly writer: ByteWriter | undefined
  /** Why the body ended early, when it did. */
  readonly broken: { readonly error: unknown } | undefined
}

/** Throws unless the chunk goes on exactly where the upload stands and may be taken. */
export function checkOrder({ limits }: Context, upload: Upload, { range, length }: Chunk): void {
  if ((range?.start ?? 0) !== upload.size) throw new OutOfOrderError(upload.size)
  if (range !== undefined && length !== undefined && range.end - range.start !== length) {
    throw sizeInvalid(range.end - range.start, length)
  }
  if (upload.size + (length ?? 0) > limits.maxBlobBytes) throw tooLarge(limits.maxBlobBytes)
  if (upload.chunks >= limits.maxUploadChunks) {
    throw new OciError('TOO_LARGE', `an upload takes at most ${limits.maxUploadChunks} chunks; send larger ones`)
  }
}

function tooLarge(maxBlobBytes: number): OciError {
  return new OciError('TOO_LARGE', `a blob has at most ${maxBlobBytes} bytes`, { detail: { maxBytes: maxBlobBytes } })
}

function sizeInvalid(announced: number, came: number): OciError {
  return new OciError('SIZE_INVALID', `Content-Range announces ${announced} bytes, the body has ${came}`)
}

/** Throws SIZE_INVALID when a body that came whole has not the length that its range announced. */
export function checkLength({ range }: Chunk, received: Received): void {
  if (range === undefined || received.broken !== undefined) return
  if (received.size !== range.end - range.start) throw sizeInvalid(range.end - range.start, received.size)
}

/**
 * Copies the body behind what the upload has; `hasher` (if any) sees every byte. A failing store throws, a failing body is
 * reported: the sender may be gone, what came may still be kept.
 */
export async function receive(
  { driver, createId, limits }: Context,
  upload: Upload,
  { body, length }: Chunk,
  hasher: Hash | undefined,
): Promise<Received> {
  const key = segmentKey(upload.id, upload.size, createId())
  const source = body[Symbol.asyncIterator]()
  let writer: ByteWriter | undefined
  let size = 0
  try {
    for (;;) {
      const next = await nextChunk(source)
      if ('error' in next) return { key, size, writer, broken: next }
      if (next.done === true) return { key, size, writer, broken: undefined }
      if (next.value.length === 0) continue
      // A body that says its length was refused before.
      if (upload.size + size + next.value.length > limits.maxBlobBytes) throw tooLarge(limits.maxBlobBytes)
      writer ??= await driver.writeStream(key, { length, ...(body.release && { onWritten: body.release }) })
      // Before it is written: it may have no bytes afterwards.
      hasher?.update(next.value)
      size += next.value.length
      const full = writer.write(next.value)
      if (full !== undefined) await full
    }
  } catch (error) {
    await writer?.discard()
    throw error
  } finally {
    await source.return?.()
  }
}

async function nextChunk(
  source: AsyncIterator<Uint8Array>,
): Promise<IteratorResult<Uint8Array> | { readonly error: unknown }> {
  try {
    return await source.next()
  } catch (error) {
    return { error }
  }
}

/** The digest of what a hasher has seen so far; it can go on. */
export function digestSoFar(algorithm: DigestAlgorithm, hasher: Hash): Digest {
  return digestOf(algorithm, hasher.copy())
}
