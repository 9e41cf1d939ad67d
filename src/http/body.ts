/**
 * The body of a request as a stream of the socket's own buffers, with a limit for its pauses and its size. It must not know what is in it.
 * Leaving the stream early never closes the connection: the refusal must still reach the client (see `linger.ts`).
 */
import type { IncomingMessage } from 'node:http'
import { OciError } from '../oci/errors.ts'

/** The client closed the connection before its request was whole: nobody is there to answer. */
export class ClientGoneError extends Error {
  constructor(options?: ErrorOptions) {
    super('the client closed the connection within the request body', options)
    this.name = 'ClientGoneError'
  }
}

export interface BodyOptions {
  /** The longest wait for the next bytes while somebody asks for them, in ms. */
  readonly idleTimeoutMs: number
  /** More is refused with TOO_LARGE. */
  readonly maxBytes?: number
}

/** Can be iterated once. Iterating throws REQUEST_TIMEOUT, TOO_LARGE or `ClientGoneError`. */
export interface RequestBody extends AsyncIterable<Uint8Array> {
  /** What `Content-Length` announces, in bytes; undefined when the body is chunked. */
  readonly length: number | undefined
  /** Bytes that arrived so far. */
  readonly received: number
  /** Waits until the first byte or the end is there. */
  isEmpty(): Promise<boolean>
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

function isTimeout(error: Error): boolean {
  return error instanceof OciError && error.code === 'REQUEST_TIMEOUT'
}

/** Collects what the socket gives, stops it when nobody takes, and wakes whoever waits. */
function createInlet(req: IncomingMessage, { idleTimeoutMs, maxBytes = Number.MAX_SAFE_INTEGER }: BodyOptions) {
  const queue: Buffer[] = []
  let queuedBytes = 0
  let received = 0
  let state: 'open' | 'ended' | Error = req.readableEnded ? 'ended' : 'open'
  let waiter: Waiter | undefined
  const timer = setTimeout(() => fail(new OciError('REQUEST_TIMEOUT', 'the body stopped arriving')), idleTimeoutMs)

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
    queue.push(chunk)
    queuedBytes += chunk.length
    if (queuedBytes >= maxQueuedBytes) req.pause()
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
    hasArrived: () => queue.length > 0,
    take(): Buffer | undefined {
      const chunk = queue.shift()
      if (chunk !== undefined) queuedBytes -= chunk.length
      return chunk
    },
    /** Resolves when there is something to take or nothing will come any more. */
    async arrival(): Promise<void> {
      if (queue.length > 0 || state === 'ended') return
      if (state !== 'open') throw state
      if (req.isPaused()) req.resume()
      timer.refresh()
      await new Promise<void>((resolve, reject) => {
        waiter = { resolve, reject }
      })
    },
  }
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
