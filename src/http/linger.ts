/**
 * Answers a request whose body is still arriving. Closing a socket with unread bytes resets the connection, and the reset can overtake the
 * answer; so the answer goes out whole, the rest of the request is read and dropped for a moment, then the connection ends. RFC 9112 §9.6.
 */
import type { IncomingMessage } from 'node:http'
import type { HttpContext, HttpLimits } from './context.ts'

/** Reads and drops what still arrives; resolves at the end of the request, or when time or bytes are used up. Never rejects. */
export function drain(
  req: IncomingMessage,
  { lingerMs, lingerBytes }: Pick<HttpLimits, 'lingerMs' | 'lingerBytes'>,
): Promise<void> {
  if (req.complete || req.destroyed) return Promise.resolve()
  const { promise, resolve } = Promise.withResolvers<void>()
  let dropped = 0
  const done = (): void => resolve()
  const onData = (chunk: Buffer): void => {
    dropped += chunk.length
    if (dropped > lingerBytes) resolve()
  }
  const timer = setTimeout(done, lingerMs)
  req.on('data', onData).on('end', done).on('close', done).on('error', done)
  req.resume()
  return promise.finally(() => {
    clearTimeout(timer)
    req.off('data', onData).off('end', done).off('close', done).pause()
  })
}

/** Sends the small answer that `ctx` holds (a Buffer or nothing) by itself, lingers, and ends the connection. */
export async function endAndLinger(ctx: HttpContext, limits: HttpLimits): Promise<void> {
  const { req, res, body } = ctx
  ctx.respond = false
  res.setHeader('Connection', 'close')
  // RFC 9110 §8.6: 204 and 304 have no length; that of a HEAD is what its GET would have.
  const isBodiless = ctx.method === 'HEAD' || ctx.status === 204 || ctx.status === 304
  if (!isBodiless && !Buffer.isBuffer(body)) ctx.length = 0
  if (!isBodiless && Buffer.isBuffer(body)) res.write(body)
  else res.flushHeaders()
  await drain(req, limits)
  res.end()
}
