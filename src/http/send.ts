/**
 * Streams a big answer to the client, past Koa: the bytes are copied by whoever has them open, straight into the response. The only place
 * where an answer is written by hand, and where it is decided whether a client got all of it.
 */
import type { Writable } from 'node:stream'
import type { HttpContext } from './context.ts'
import { type PaceLimits, watchReader } from './pace.ts'

/** The client closed the connection, or stopped reading, before the answer was whole. */
export class AnswerAbortedError extends Error {
  constructor(options?: ErrorOptions) {
    super('the client left before it had the whole answer', options)
    this.name = 'AnswerAbortedError'
  }
}

/** What the buffers of any socket take at once, in bytes: a smaller answer waits for its client only behind others that he has not read. */
const smallAnswerBytes = 64 * 1024

/**
 * Ends a client that stops reading an answer from memory, which Koa sends when the middleware is through. The timer of a socket starts again with every
 * write that gets somewhere; Node replaces it when the answer is finished.
 */
export function limitPauses(ctx: HttpContext, limits: PaceLimits): void {
  const { req, res, body } = ctx
  if (!Buffer.isBuffer(body)) return
  res.setTimeout(limits.bodyIdleTimeoutMs, () => res.destroy())
  if (body.length <= smallAnswerBytes) return
  res.once(
    'close',
    watchReader(req.socket, limits, () => res.destroy()),
  )
}

/**
 * Sends the headers that are set and `length` bytes that `copy` writes. Rejects with `AnswerAbortedError` when the client leaves, and with the error
 * of `copy` when that fails; the connection is destroyed then, unless no byte was sent and an error can still be answered.
 *
 * A client may close as soon as it has `Content-Length` bytes, which looks like an abort to the stream: what counts is how many bytes
 * were handed to the socket.
 */
export async function sendStream(
  ctx: HttpContext,
  length: number,
  copy: (to: Writable) => Promise<void>,
  limits: PaceLimits,
): Promise<void> {
  const { req, res, state } = ctx
  const { socket } = req
  const before = socket.bytesWritten
  ctx.length = length
  // A request that still sends would be read to its end by Node, however long it is.
  if (!req.complete) res.setHeader('Connection', 'close')
  ctx.respond = false
  // As in `limitPauses`.
  res.setTimeout(limits.bodyIdleTimeoutMs, () => res.destroy())
  const stopWatching = length > smallAnswerBytes ? watchReader(socket, limits, () => res.destroy()) : () => undefined
  try {
    await copy(res)
    state.sent = { bytes: length, whole: true }
    res.setTimeout(0)
    res.end()
  } catch (error) {
    res.setTimeout(0)
    // A failed write destroys the socket first, the response a little later.
    const clientLeft = socket.destroyed || res.destroyed
    if (!res.headersSent && !clientLeft) {
      ctx.respond = true
      throw error
    }
    const handed = Math.min(Math.max(socket.bytesWritten - before, 0), length)
    state.sent = { bytes: handed, whole: handed === length }
    res.destroy()
    if (!clientLeft) throw error
    if (!state.sent.whole) throw new AnswerAbortedError({ cause: error })
  } finally {
    stopWatching()
  }
}
