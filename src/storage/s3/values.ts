/** Looking at what is stored: small values whole, what the store knows of a key, and large values opened for copying. */
import type { Readable, Writable } from 'node:stream'
import { checkRange } from '../checked.ts'
import type { ByteRange, Cancel, ObjectStat, OpenBytes, StoredValue } from '../driver.ts'
import { withTarget, type WriteChunk } from '../target.ts'
import type { Head, HeadOptions, Opened, OpenedBody } from './bucket.ts'
import { isAbsent, S3Error, toS3Error, translateError } from './errors.ts'
import { chunksOf } from './response.ts'
import { describeHead, type S3Store } from './store.ts'

/** Runs a call of which absence is an answer. */
export async function orAbsent<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof S3Error && isAbsent(error)) return undefined
    throw error
  }
}

/** What stands at a key, asked as often as may help. */
export function headObject(
  { bucket, retry, objectOf }: S3Store,
  key: string,
  options: HeadOptions,
): Promise<Head | undefined> {
  return orAbsent(() => retry(() => bucket.head(objectOf(key), options), options))
}

async function readWhole(body: Readable, size: number, signal: AbortSignal | undefined): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size)
  let at = 0
  try {
    for await (const chunk of chunksOf(body)) {
      at += chunk.copy(bytes, at)
      signal?.throwIfAborted()
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw toS3Error(error)
  }
  if (at !== size) throw new S3Error('CutAnswer', undefined, `${at} bytes of ${size} came`)
  return bytes
}

export async function readValue(store: S3Store, key: string, cancel: Cancel): Promise<StoredValue | undefined> {
  const { bucket, retry, objectOf, maxValueBytes } = store
  return orAbsent(() =>
    retry(async () => {
      const got = await bucket.get(objectOf(key), cancel)
      if (got.size > maxValueBytes) {
        drop(got.body)
        throw new Error(`${key} has ${got.size} bytes, more than the ${maxValueBytes} of a value`)
      }
      return { ...describeHead(got), bytes: await readWhole(got.body, got.size, cancel.signal) }
    }, cancel),
  )
}

export async function statValue(store: S3Store, key: string, cancel: Cancel): Promise<ObjectStat | undefined> {
  const head = await headObject(store, key, { ...cancel, absence: 'likely' })
  return head && describeHead(head)
}

/** Nobody reads the rest. */
function drop(body: Readable): void {
  body.on('error', () => undefined).destroy()
}

const empty: OpenBytes = {
  size: 0,
  async copyTo(target, options = {}) {
    await withTarget(target, options, async () => undefined)
  },
  close: () => Promise.resolve(),
}

export async function openValue(
  store: S3Store,
  key: string,
  range: ByteRange,
  cancel: Cancel,
): Promise<OpenBytes | undefined> {
  // One byte at least can be asked for, and only within the object.
  if (!isAskable(range)) {
    const head = await headObject(store, key, cancel)
    if (head === undefined) return undefined
    checkRange(key, range, head.size)
    return empty
  }
  const got = await getRange(store, key, range, undefined, cancel)
  if (got === undefined) return undefined
  if (range.end > got.size) {
    got.body.destroy()
    checkRange(key, range, got.size)
  }
  return openBody(store, key, range, got)
}

function isAskable({ start, end }: ByteRange): boolean {
  return Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start < end
}

async function getRange(
  store: S3Store,
  key: string,
  range: ByteRange,
  etag: string | undefined,
  cancel: Cancel,
): Promise<Opened | undefined> {
  const { bucket, retry, objectOf } = store
  try {
    return await orAbsent(() =>
      retry(() => bucket.open(objectOf(key), { ...cancel, range, ...(etag === undefined ? {} : { etag }) }), cancel),
    )
  } catch (error) {
    if (!(error instanceof S3Error) || error.status !== 416) throw error
    const head = await headObject(store, key, cancel)
    if (head !== undefined) checkRange(key, range, head.size)
    throw error
  }
}

/** How often one copy goes on where its connection broke, until so many more bytes have come. */
const maxResumptions = 5
const progressBytes = 8 * 1024 * 1024

/** The bytes of a range, from one answer or several. Whoever has it calls `drop` at the end. */
function createSource(store: S3Store, key: string, range: ByteRange, first: Opened) {
  let body: OpenedBody | undefined = first.body
  let at = range.start

  async function copyBody(from: OpenedBody, write: WriteChunk): Promise<void> {
    await from.copy(async (chunk) => {
      await write(chunk)
      at += chunk.length
    })
    if (at !== range.end) throw new S3Error('CutAnswer', undefined, `it ends at ${at} instead of ${range.end}`)
  }

  async function resume(signal: AbortSignal): Promise<void> {
    const got = await getRange(store, key, { start: at, end: range.end }, first.etag, { signal })
    if (got === undefined) throw new S3Error('NoSuchKey', 404, `${key} was removed while it was read`)
    if (body === undefined) got.body.destroy()
    else body = got.body
  }

  return {
    drop(): void {
      body?.destroy()
      body = undefined
    },
    async copyTo(write: WriteChunk, signal: AbortSignal): Promise<void> {
      const target = watched(write)
      let progress = at
      for (let broken = 0; ; broken++) {
        signal.throwIfAborted()
        if (body === undefined) throw new Error(`${key} is closed`)
        try {
          return await copyBody(body, target.write)
        } catch (error) {
          signal.throwIfAborted()
          // What the target says of itself is not the store's fault.
          if (target.failed()) throw error
          if (at === range.end) return
          if (at - progress >= progressBytes) broken = 0
          if (at > range.end || broken === maxResumptions) throw toS3Error(error)
        }
        progress = at
        if (body !== undefined) await resume(signal)
      }
    },
  }
}

function openBody(store: S3Store, key: string, range: ByteRange, got: Opened): OpenBytes {
  const source = createSource(store, key, range, got)
  return {
    size: range.end - range.start,
    async copyTo(target, cancel = {}) {
      try {
        await withTarget(target, cancel, (write) => whileWanted(target, cancel, source, write))
      } catch (error) {
        throw translateError(`reading ${key}`, error)
      } finally {
        source.drop()
      }
    },
    async close() {
      source.drop()
    },
  }
}

/** Nobody waits for the store when the target has closed, or the copy is aborted. */
async function whileWanted(
  target: Writable,
  { signal }: Cancel,
  source: ReturnType<typeof createSource>,
  write: WriteChunk,
): Promise<void> {
  const stopped = new AbortController()
  const stop = (reason: unknown): void => {
    stopped.abort(reason)
    source.drop()
  }
  const onClose = (): void => stop(new Error('the target closed before the copy was complete'))
  const onAbort = (): void => stop(signal?.reason)
  if (!target.writable) onClose()
  target.on('close', onClose)
  target.on('error', stop)
  signal?.addEventListener('abort', onAbort)
  try {
    await source.copyTo(write, stopped.signal)
  } finally {
    target.off('close', onClose)
    target.off('error', stop)
    signal?.removeEventListener('abort', onAbort)
  }
}

/** Tells a failure of the target from one of the source. */
function watched(write: WriteChunk): { readonly write: WriteChunk; readonly failed: () => boolean } {
  let hasFailed = false
  return {
    failed: () => hasFailed,
    write: async (chunk) => {
      try {
        await write(chunk)
      } catch (error) {
        hasFailed = true
        throw error
      }
    },
  }
}
