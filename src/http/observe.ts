/** What the operator sees of a request: its id, one log line, one sample of the metrics, written when the response closes. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Middleware } from 'koa'
import { anonymous } from '../auth/policy.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import type { HttpMetrics } from '../telemetry/http-metrics.ts'
import type { Extra, HttpContext, State } from './context.ts'

/** The newest request of each connection: what a malformed byte on it may belong to. */
export type InFlight = WeakMap<Duplex, HttpContext>

export interface Observers {
  readonly accessLog: AccessLog
  /** Who sent a request. */
  readonly clientAddress: (request: IncomingMessage) => string | undefined
  readonly metrics: HttpMetrics
  /** A random name for a request. */
  readonly createId: () => string
  /** A monotonic clock in ms. */
  readonly monotonicMs: () => number
}

/** nginx's number for a client that left before it was answered. */
const statusClientGone = 499

/** An id that a proxy in front gave is kept, so that both logs tell the same story; anything that could disturb a log is not. */
const requestIdPattern = /^[\w.:=+/@-]{1,128}$/

/** The id of a request: the one it brought, when it is sane. */
export function chooseRequestId(inbound: string | readonly string[] | undefined, createId: () => string): string {
  return typeof inbound === 'string' && requestIdPattern.test(inbound) ? inbound : createId()
}

/** The headers that every answer carries. */
export function setCommonHeaders(ctx: HttpContext): void {
  const { res } = ctx
  res.setHeader('X-Request-Id', ctx.state.requestId)
  res.setHeader('Docker-Distribution-Api-Version', 'registry/2.0')
  res.setHeader('X-Content-Type-Options', 'nosniff')
}

/** Bytes of the body that were sent, and whether that was all of it. */
function outcomeOf(ctx: HttpContext): { readonly bytes: number; readonly whole: boolean } {
  if (ctx.state.sent !== undefined) return ctx.state.sent
  // Koa ends a small answer in one piece; once that happened the socket has all of it.
  const whole = ctx.res.writableEnded
  const isBodiless = ctx.method === 'HEAD' || ctx.status === 204 || ctx.status === 304
  return { whole, bytes: whole && !isBodiless ? (ctx.response.length ?? 0) : 0 }
}

function report(ctx: HttpContext, observers: Observers, durationMs: number): void {
  const { state, res } = ctx
  const { route, repository, requestId } = state
  const { bytes, whole } = outcomeOf(ctx)
  const status = res.headersSent || whole ? res.statusCode : statusClientGone
  const method = ctx.method
  const bytesIn = state.body?.received ?? 0
  const durationSeconds = durationMs / 1000
  observers.metrics.recordRequest({
    route,
    method,
    status,
    durationSeconds,
    requestBytes: bytesIn,
    responseBytes: bytes,
  })
  observers.accessLog.request({
    requestId,
    method,
    route,
    repository,
    status,
    code: state.errorCode,
    aborted: whole ? undefined : true,
    bytesIn,
    bytesOut: bytes,
    durationMs: Math.round(durationMs * 100) / 100,
    address: state.address,
    userAgent: ctx.req.headers['user-agent']?.slice(0, 300),
  })
}

/** The outermost middleware: makes the state of the request, and reports it when the response is closed, however that comes about. */
export function observe(observers: Observers, inFlight: InFlight): Middleware<State, Extra> {
  const { clientAddress, createId, monotonicMs, metrics } = observers
  return (ctx, next) => {
    const start = monotonicMs()
    const { req, res, state } = ctx
    // Read now: a socket that is gone has no address.
    state.address = clientAddress(req)
    state.requestId = chooseRequestId(req.headers['x-request-id'], createId)
    state.principal = anonymous
    state.route = 'unmatched'
    inFlight.set(req.socket, ctx)
    metrics.startRequest()
    res.once('close', () => report(ctx, observers, monotonicMs() - start))
    setCommonHeaders(ctx)
    return next()
  }
}
