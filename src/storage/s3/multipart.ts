/** One multipart upload: sends parts side by side while there is memory, and completes it or leaves nothing of it. */
import type { StreamOptions } from '../driver.ts'
import type { Multipart, Part } from './bucket.ts'
import { isAbsent, isTransient, S3Error } from './errors.ts'
import type { GatheredPart } from './gather.ts'
import { createPartQueue } from './part-queue.ts'
import { untilAborted } from './retry.ts'
import type { S3Store } from './store.ts'
import { headObject } from './values.ts'

export interface MultipartWriter {
  /** Parts so far. */
  readonly count: () => number
  /** Sends it as soon as it may. */
  add(part: GatheredPart): void
  /** A promise when the caller must wait before he brings more; it rejects when a part failed for good. */
  room(): Promise<void> | undefined
  /** Resolves when all parts are one object. */
  seal(): Promise<void>
  /** Ends what is on its way, which its signal has been told, and takes all back; never rejects. */
  discard(): Promise<void>
}

export interface Sending extends Pick<StreamOptions, 'onWritten'> {
  readonly signal: AbortSignal
}

export function createMultipart(store: S3Store, key: string, { signal, onWritten }: Sending): MultipartWriter {
  const { bucket, retry, createId, objectOf } = store
  const writer = createId()
  const parts: Part[] = []
  let upload: Promise<Multipart> | undefined
  /** Whether a part failed, or was cut, on its way. */
  let mayComeLate = false

  async function send(part: GatheredPart, number: number): Promise<void> {
    // Not cut off by an abort: who does not know its id cannot take it back.
    upload ??= retry(() => bucket.startMultipart(objectOf(key), { writer }), untilAborted({ signal }))
    const to = await upload
    signal.throwIfAborted()
    try {
      const etag = await retry(() => bucket.sendPart(to, number, part, { signal }), { signal })
      parts.push({ number, etag })
    } catch (error) {
      mayComeLate = true
      throw error
    }
  }

  const queue = createPartQueue(store, send, (part) => {
    if (onWritten !== undefined) part.chunks.forEach((chunk) => onWritten(chunk))
  })

  return {
    count: queue.count,
    add: queue.add,
    room: queue.room,
    async seal() {
      await queue.settled()
      const to = await upload
      signal.throwIfAborted()
      if (to !== undefined) await complete(store, to, { key, parts, writer }, signal)
    },
    async discard() {
      await queue.end()
      const to = await upload?.catch(() => undefined)
      if (to === undefined) return
      // Without a signal: this is how it ends. What is left all the same is found by `tidy`.
      const abort = async (): Promise<boolean> =>
        retry(() => bucket.abort(to, {}), {}).then(
          () => true,
          () => false,
        )
      // A part that failed when the store had all of it may have been written since. S3, "AbortMultipartUpload".
      if ((await abort()) && mayComeLate) await abort()
    },
  }
}

interface Whole {
  readonly key: string
  readonly parts: readonly Part[]
  readonly writer: string
}

/** A store answers late for a large object, and may have done what it says it could not: the object counts. */
async function complete(
  store: S3Store,
  upload: Multipart,
  { key, parts, writer }: Whole,
  signal: AbortSignal,
): Promise<void> {
  const ordered = parts.toSorted((a, b) => a.number - b.number)
  try {
    await store.retry(() => store.bucket.complete(upload, ordered, {}), untilAborted({ signal }))
  } catch (error) {
    if (!(error instanceof S3Error) || !(isAbsent(error) || isTransient(error))) throw error
    const head = await headObject(store, key, {})
    if (head?.writer !== writer) throw error
  }
}
