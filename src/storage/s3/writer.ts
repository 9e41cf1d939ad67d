/**
 * A body of unknown length on its way into the bucket: one object where it fits into a part, else a multipart upload of equal parts, of which some are sent
 * while the next is gathered.
 */
import { type ByteWriter, type StreamOptions, StorageError } from '../driver.ts'
import { translateError } from './errors.ts'
import { createGathering, type GatheredPart } from './gather.ts'
import { createMultipart, type MultipartWriter, type Sending } from './multipart.ts'
import { untilAborted } from './retry.ts'
import type { S3Store } from './store.ts'

/** S3, "Multipart upload limits". */
const maxParts = 10_000
const mebibyte = 1024 * 1024

/** The size of all parts but the last. What says its length has larger ones where it must. */
function partBytesFor({ partBytes }: S3Store, length = 0): number {
  return Math.max(partBytes, Math.ceil(length / maxParts / mebibyte) * mebibyte)
}

/** The bytes of one body: gathered into parts, which go on their way when they are full. */
function createParts(store: S3Store, key: string, sending: Sending, partBytes: number) {
  const startPart = () => createGathering(partBytes, store.isEncrypted ? 'unsigned' : 'signed')
  let gathering = startPart()
  let multipart: MultipartWriter | undefined

  function send(): void {
    multipart ??= createMultipart(store, key, sending)
    if (multipart.count() === maxParts) {
      const most = partBytes * maxParts
      const advice = 'storage.s3.partBytes sets the size of a part'
      throw new StorageError('too large', `a body that does not say its length has at most ${most} bytes: ${advice}`)
    }
    multipart.add(gathering.end())
    gathering = startPart()
  }

  return {
    add(chunk: Uint8Array): void {
      for (let rest = chunk; rest.length > 0;) {
        if (gathering.size() === partBytes) send()
        const before = rest.length
        rest = gathering.add(rest, chunk)
        store.budget.hold(before - rest.length)
      }
    },
    room: () => multipart?.room(),
    async seal(): Promise<void> {
      if (multipart === undefined) {
        const whole = gathering.end()
        await putWhole(store, key, whole, sending)
        return store.budget.release(whole.size)
      }
      if (gathering.size() > 0) send()
      await multipart.seal()
    },
    async discard(): Promise<void> {
      store.budget.release(gathering.size())
      await multipart?.discard()
    },
  }
}

/** A client chooses the length that he announces, so it must not choose our memory. Returns what gives it back. */
function admit({ budget, partBytes: usual }: S3Store, partBytes: number): () => void {
  if (partBytes <= usual) return () => undefined
  const leave = budget.admit(2 * partBytes)
  if (leave !== undefined) return leave
  throw new StorageError('unavailable', `no memory for one more body with parts of ${partBytes} bytes`)
}

export function createWriter(store: S3Store, key: string, { signal, onWritten, length }: StreamOptions): ByteWriter {
  const stop = new AbortController()
  const sending = {
    signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
    ...(onWritten === undefined ? {} : { onWritten }),
  }
  const partBytes = partBytesFor(store, length)
  const leave = admit(store, partBytes)
  const parts = createParts(store, key, sending, partBytes)
  let state: 'open' | 'ended' = 'open'

  const ended = (): Error => new Error(`the writer of ${key} has ended`)
  const explain = (error: unknown): unknown => translateError(`writing ${key}`, error)

  async function takeBack(): Promise<void> {
    stop.abort(ended())
    await parts.discard()
    leave()
  }

  return {
    write(chunk) {
      try {
        signal?.throwIfAborted()
        if (state === 'ended') throw ended()
        parts.add(chunk)
        return parts.room()?.catch((error: unknown) => Promise.reject(explain(error)))
      } catch (error) {
        return Promise.reject(explain(error))
      }
    },
    async seal() {
      if (state === 'ended') throw ended()
      state = 'ended'
      try {
        signal?.throwIfAborted()
        await parts.seal()
        leave()
      } catch (error) {
        await takeBack()
        throw explain(error)
      }
    },
    async discard() {
      if (state === 'ended') return
      state = 'ended'
      await takeBack()
    },
  }
}

function putWhole(
  { bucket, retry, createId, objectOf }: S3Store,
  key: string,
  part: GatheredPart,
  { signal }: Sending,
): Promise<void> {
  const writer = createId()
  return retry(() => bucket.put(objectOf(key), part, { writer, content: 'blob' }), untilAborted({ signal }))
}
