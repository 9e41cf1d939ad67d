/** The access log: which requests get a line, and what stands in it. It knows nothing of HTTP but these words. */
import type { Logger } from './logger.ts'

/** One request that ended. */
export type RequestLine = {
  readonly requestId?: string | undefined
  readonly method: string
  readonly route: string
  readonly repository?: string | undefined
  readonly status: number
  readonly code?: string | undefined
  readonly reason?: string | undefined
  readonly aborted?: true | undefined
  readonly bytesIn?: number
  readonly bytesOut?: number
  readonly durationMs?: number
  readonly address?: string | undefined
  readonly userAgent?: string | undefined
}

/** What each field means, for `docs/telemetry.md`. */
export const requestLineFields: Readonly<Record<keyof RequestLine, string>> = {
  requestId:
    'the name of the request: `X-Request-Id` of the answer, and of the request when it brought one that is sane',
  method: 'the method; `other` where there was none that could be read',
  route:
    'the id of the endpoint ([http-api.md](http-api.md)); `unmatched`: no endpoint; `limited`: more requests than its address may send; `malformed`: not HTTP; `tls`: a TLS client at this plain port; `refused`: a connection too many',
  repository: 'the repository, once its name was parsed',
  status: 'the status that was sent; 499: the client left before',
  code: 'the code of the error that was answered',
  reason: 'what was wrong with bytes that are not HTTP',
  aborted: 'true when the client left, or stopped reading, before it had the whole answer',
  bytesIn: 'bytes of the body that were received',
  bytesOut: 'bytes of the body that were handed to the socket',
  durationMs: 'from the headers of the request to the end of the answer, in ms',
  address: 'who asked: the other end of the connection, or the client that a proxy of `limits.trustedProxies` names',
  userAgent: '`User-Agent`, its first 300 characters',
}

export interface AccessLog {
  /** Takes a request; `debug` is for what is no request at all, and nothing an operator could act on. */
  request(line: RequestLine, level?: 'info' | 'debug'): void
}

export interface AccessLogOptions {
  readonly log: Pick<Logger, 'info' | 'debug'>
  /** One in so many successful requests gets a line, all when it is 1, none when it is 0; every other request gets one. */
  readonly sampleRequests: number
  /** From 0 to below 1. */
  readonly random: () => number
}

export function createAccessLog({ log, sampleRequests, random }: AccessLogOptions): AccessLog {
  const isLeftOut = ({ status, aborted }: RequestLine): boolean => {
    if (sampleRequests === 1 || status >= 400 || aborted === true) return false
    // Drawn, not counted: clients repeat the same few requests in the same order.
    return sampleRequests === 0 || random() * sampleRequests >= 1
  }
  return {
    request(line, level = 'info') {
      if (!isLeftOut(line)) log[level]('request', line)
    },
  }
}
