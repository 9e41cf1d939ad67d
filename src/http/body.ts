/**
 * The body of a request as a stream of what Node's parser has copied, with a limit for its pauses and its size. It must not know what is in it.
 * Leaving the stream early never closes the connection: the refusal must still reach the client (see `linger.ts`).
 */
import type { IncomingMessage } from 'node:http'
import { OciError } from '../oci/errors.ts'
import { createPace, type PaceLimits } from './pace.ts'

/** The client closed the connection before its request was whole: nobody is there to answer. */
export class ClientGoneError extends Error {
  constructor(options?: ErrorOptions) {
    super('the client closed the connection within the request body', options)
    this.name = 'ClientGoneError'
  }
}

export interface BodyOptions extends PaceLimits {
  /** More is refused with TOO_LARGE. */
  readonly maxBytes?: number
  /** A monotonic clock, in ms. */
  readonly elapsedMs?: () => number
}

/** Can be iterated once. Iterating throws REQUEST_TIMEOUT, TOO_LARGE or `ClientGoneError`. */
export interface RequestBody extends AsyncIterable<Uint8Array> {
  /** What `Content-Length` announces, in bytes; undefined when the body is chunked. */
  readonly length: number | undefined
  /** Bytes that arrived so far. */
  readonly received: number
  /** Waits until the first byte or the end is there. */
  isEmpty(): Promise<boolean>
  /** Gives back the memory of a chunk at once. The garbage collector would look through the whole heap again and again (decision 19). */
  readonly release: (chunk: Uint8Array) => void
  /** Nothing more will come, whatever the stream says: whoever iterates is told at once. */
  breakOff(cause: Error): void
}

/** How much may wait in our queue before the socket is told to stop, in bytes: four of the socket's own buffers. */
const maxQueuedBytes = 4 * 64 * 1024

function tooLarge(maxBytes: number): OciError {
  return new OciError('TOO_LARGE', `the body must not be larger than ${maxBytes} bytes`, { detail: { maxBytes } })
}

/** Whether a request has a body of at least one byte, as far as its headers tell. RFC 9112 §6.3. */
export function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0
}

/** `Content-Length` in bytes; undefined when the body is chunked. A number that no store holds is TOO_LARGE. */
export function announcedLength(req: IncomingMessage): number | undefined {
  if (req.headers['transfer-encoding'] !== undefined) return undefined
  const length = Number(req.headers['content-length'] ?? 0)
  if (!Number.isSafeInteger(length)) throw tooLarge(Number.MAX_SAFE_INTEGER)
  return length
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

function timedOut(message: string): OciError {
  return new OciError('REQUEST_TIMEOUT', message)
}

function isTimeout(error: Error): boolean {
  return error instanceof OciError && error.code === 'REQUEST_TIMEOUT'
}

/** Chunks that arrived and were not taken yet. */
function createQueue() {
  const chunks: Buffer[] = []
  let bytes = 0
  return {
    isEmpty: () => chunks.length === 0,
    isFull: () => bytes >= maxQueuedBytes,
    add(chunk: Buffer): void {
      chunks.push(chunk)
      bytes += chunk.length
    },
    take(): Buffer | undefined {
      const chunk = chunks.shift()
      if (chunk !== undefined) bytes -= chunk.length
      return chunk
    },
  }
}

/** Collects what the socket gives, stops it when nobody takes, and wakes whoever waits. */
function createInlet(req: IncomingMessage, options: BodyOptions) {
  const { maxBytes = Number.MAX_SAFE_INTEGER, elapsedMs = () => performance.now() } = options
  const pace = createPace(options, elapsedMs)
  const queue = createQueue()
  let received = 0
  let state: 'open' | 'ended' | Error = req.readableEnded ? 'ended' : 'open'
  let waiter: Waiter | undefined
  const timer = setTimeout(() => fail(timedOut('the body stopped arriving')), options.bodyIdleTimeoutMs)

  function wake(): void {
    waiter?.resolve()
    waiter = undefined
  }
  function fail(error: Error): void {
    if (state !== 'open' || (waiter === undefined && isTimeout(error))) return
    state = error
    stop()
    waiter?.reject(error)
    waiter = undefined
  }
  const onData = (chunk: Buffer): void => {
    received += chunk.length
    if (received > maxBytes) return fail(tooLarge(maxBytes))
    if (pace.take(chunk.length) === 'too slow') return fail(timedOut('the body arrives too slowly'))
    queue.add(chunk)
    if (queue.isFull()) req.pause()
    wake()
  }
  const onEnd = (): void => {
    if (state === 'open') state = 'ended'
    stop()
    wake()
  }
  const onGone = (error?: Error): void => fail(new ClientGoneError(error && { cause: error }))

  /** Lets go of the request; the listener for errors stays, so that a later reset is nobody's surprise. */
  function stop(): void {
    clearTimeout(timer)
    req.off('data', onData).off('end', onEnd).off('close', onGone)
    req.pause()
  }
  if (state === 'open') req.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone)
  if (req.destroyed) onGone()

  return {
    stop,
    breakOff: onGone,
    received: () => received,
    hasArrived: () => !queue.isEmpty(),
    take: () => queue.take(),
    /** Resolves when there is something to take or nothing will come any more. */
    async arrival(): Promise<void> {
      if (!queue.isEmpty() || state === 'ended') return
      if (state !== 'open') throw state
      if (req.isPaused()) req.resume()
      timer.refresh()
      pace.wait()
      await new Promise<void>((resolve, reject) => {
        waiter = { resolve, reject }
      })
    },
  }
}

/** A smaller chunk weighs nothing for the garbage collector, and a million of them take longer to give back than to write. In bytes. */
const minReleasedBytes = 4096

/** Detaches a chunk that covers all of its memory, as what Node's parser has copied does: a part of a pool stays. Again is nothing. */
function release({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < minReleasedBytes) return
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

/** Opens the body; nothing is read before somebody iterates or asks. Throws TOO_LARGE when the announced length already is. */
export function openBody(req: IncomingMessage, options: BodyOptions): RequestBody {
  const length = announcedLength(req)
  if (options.maxBytes !== undefined && length !== undefined && length > options.maxBytes)
    throw tooLarge(options.maxBytes)
  let opened: ReturnType<typeof createInlet> | undefined
  const open = (): ReturnType<typeof createInlet> => (opened ??= createInlet(req, options))
  return {
    length,
    get received() {
      return opened?.received() ?? 0
    },
    release,
    breakOff(cause) {
      opened?.breakOff(cause)
    },
    async isEmpty() {
      await open().arrival()
      return !open().hasArrived()
    },
    [Symbol.asyncIterator]() {
      const inlet = open()
      return {
        async next(): Promise<IteratorResult<Uint8Array>> {
          await inlet.arrival()
          const value = inlet.take()
          return value === undefined ? { done: true, value } : { done: false, value }
        },
        return(): Promise<IteratorResult<Uint8Array>> {
          inlet.stop()
          return Promise.resolve({ done: true, value: undefined })
        },
      }
    },
  }
}

/** Reads a whole body that the caller has bounded by `maxBytes`. */
export async function readWhole(body: RequestBody): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
