/**
 * The one place where errors become answers: OCI error JSON with the status of the error table. distribution-spec v1.1.1, "Error Codes".
 * What a client sees of a bug is a request id and nothing else.
 */
import type { Middleware } from 'koa'
import { type ErrorCode, OciError } from '../oci/errors.ts'
import { StorageError } from '../storage/driver.ts'
import { ClientGoneError } from './body.ts'
import type { Extra, HttpContext, HttpLimits, State } from './context.ts'
import { endAndLinger } from './linger.ts'
import { setCommonHeaders } from './observe.ts'
import { AnswerAbortedError, limitPauses } from './send.ts'

/** What the HTTP layer needs of a log. */
export interface ErrorLog {
  error(message: string, fields: Readonly<Record<string, unknown>>): void
}

/** When to try again after the store failed, in seconds. */
const retryAfterSeconds = 5

interface ErrorEntry {
  readonly code: ErrorCode
  readonly message: string
  readonly detail?: unknown
}

/** The body of an error answer. */
export function encodeErrors(errors: readonly ErrorEntry[]): Buffer {
  return Buffer.from(JSON.stringify({ errors }))
}

/** The refusal that stands for any error: itself, the store's trouble, or a bug of which nothing is told but the request id. */
export function toOciError(error: unknown, requestId: string): OciError {
  if (error instanceof OciError) return error
  if (error instanceof StorageError) {
    switch (error.reason) {
      case 'full':
        return new OciError('STORAGE_FULL', 'the store has no room left; reading and deleting go on', { cause: error })
      case 'read-only':
        return new OciError('UNAVAILABLE', 'the store takes no writes at the moment', { cause: error })
      case 'too large':
        return new OciError('TOO_LARGE', error.message, { cause: error })
      case 'unavailable':
        return new OciError('UNAVAILABLE', 'the store does not answer at the moment', { cause: error })
    }
  }
  return new OciError('UNKNOWN', 'the server failed; its log has more under the request id', {
    cause: error,
    detail: { requestId },
  })
}

/** The entries of `errors[]`: one for each missing blob or manifest, else one. distribution-spec v1.1.1, "Pushing Manifests". */
function entriesOf({ code, message, detail }: OciError): readonly ErrorEntry[] {
  if (Array.isArray(detail)) return detail.map((each: unknown) => ({ code, message, detail: each }))
  return [detail === undefined ? { code, message } : { code, message, detail }]
}

function answerError(ctx: HttpContext, error: unknown, log: ErrorLog): void {
  const { req, res, state } = ctx
  // `wire.ts` has answered already: the body turned out to be malformed, and that is what broke the handler off. It ends the connection, too.
  if (res.writableEnded) {
    ctx.respond = false
    return
  }
  const isClientGone = error instanceof ClientGoneError || error instanceof AnswerAbortedError
  if (isClientGone || res.headersSent || res.destroyed) {
    ctx.respond = false
    res.destroy()
    if (!isClientGone) log.error('an answer broke off', { requestId: state.requestId, route: state.route, error })
    return
  }
  const refusal = toOciError(error, state.requestId)
  state.errorCode = refusal.code
  if (refusal.status >= 500) {
    const { requestId, route, repository } = state
    log.error('a request failed', { requestId, route, method: req.method, repository, code: refusal.code, error })
  }
  // What the handler had set for its own answer must not stand on this one.
  for (const name of res.getHeaderNames()) res.removeHeader(name)
  setCommonHeaders(ctx)
  // RFC 9110 §10.2.3; a refusal that knows better says so itself.
  const retry = refusal.status === 503 || refusal.status === 429 ? { 'Retry-After': String(retryAfterSeconds) } : {}
  ctx.set({ ...retry, ...refusal.headers, 'Content-Type': 'application/json' })
  ctx.body = encodeErrors(entriesOf(refusal))
  ctx.status = refusal.status
}

/** Answers everything that is thrown further in, and gives a client that is still sending the chance to read its answer. */
export function answerErrors(log: ErrorLog, limits: HttpLimits): Middleware<State, Extra> {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      answerError(ctx, error, log)
    }
    if (ctx.respond === false) return
    limitPauses(ctx, limits)
    if (!ctx.req.complete) await endAndLinger(ctx, limits)
  }
}
