/**
 * The pulse: `/healthz` (the process answers), `/readyz` (the store answers, too) and `/metrics`, on a listener of its own so that it can
 * stay private and answers when the registry is busy. It knows neither the registry nor the store, only functions that ask them.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Logger } from './logger.ts'

export interface PulseDependencies {
  /** Resolves when requests can be served; else rejects with an Error whose message says why not. */
  readonly checkReady: (options: { readonly signal: AbortSignal }) => Promise<void>
  /** How long `/readyz` waits for `checkReady`. */
  readonly readyTimeoutMs: number
  readonly renderMetrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  readonly log: Logger
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly contentType?: string
}

/** A server that does not listen yet. Nothing a client does keeps it waiting: headers within 5 s, the whole request within 10 s. */
export function createPulseServer(dependencies: PulseDependencies): Server {
  const respond = createResponder(dependencies)
  const limits = { headersTimeout: 5000, requestTimeout: 10_000, maxHeaderSize: 16_384 }
  return createServer(limits, (request, response) => {
    void respond(request).then(
      (answer) => send(request, response, answer),
      (error: unknown) => {
        dependencies.log.error('the pulse failed to answer', { path: request.url, error })
        send(request, response, { status: 500, text: 'failed; the log says why' })
      },
    )
  })
}

function createResponder(dependencies: PulseDependencies) {
  const paths = new Map<string, () => Promise<Answer>>([
    ['/healthz', async () => ({ status: 200, text: 'ok' })],
    ['/readyz', createReadiness(dependencies)],
    ['/metrics', async () => ({ status: 200, ...(await dependencies.renderMetrics()) })],
  ])
  return async (request: IncomingMessage): Promise<Answer> => {
    const answer = paths.get((request.url ?? '').split('?')[0] ?? '')
    if (answer === undefined) return { status: 404, text: `not found; there are ${[...paths.keys()].join(', ')}` }
    if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, text: 'GET or HEAD only' }
    return answer()
  }
}

/** One check at a time, however many ask: a store that hangs must not be asked more the longer it hangs. */
function createReadiness({ checkReady, readyTimeoutMs }: PulseDependencies): () => Promise<Answer> {
  let running: Promise<Answer> | undefined
  const check = async (): Promise<Answer> => {
    const signal = AbortSignal.timeout(readyTimeoutMs)
    const timeout = Promise.withResolvers<never>()
    signal.addEventListener('abort', () => timeout.reject(new Error(`no answer within ${readyTimeoutMs} ms`)))
    try {
      await Promise.race([checkReady({ signal }), timeout.promise])
      return { status: 200, text: 'ready' }
    } catch (error) {
      return { status: 503, text: `not ready: ${error instanceof Error ? error.message : 'unknown reason'}` }
    } finally {
      running = undefined
    }
  }
  return () => (running ??= check())
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const isLine = answer.contentType === undefined
  const body = Buffer.from(isLine ? `${answer.text}\n` : answer.text)
  response.writeHead(answer.status, {
    'Content-Type': answer.contentType ?? 'text/plain; charset=utf-8',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(answer.status === 405 ? { Allow: 'GET, HEAD' } : {}),
    // A body nobody reads must not hold the connection.
    ...(request.method === 'GET' || request.method === 'HEAD' ? {} : { Connection: 'close' }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}
