/** Puts the registry behind HTTP: everything injected, nothing read from outside. It never listens, so tests use it as it is. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import Koa from 'koa'
import { type AdmissionLimits, type BodyMetrics, createAdmission } from './http/admission.ts'
import { createClientAddress } from './http/client-address.ts'
import type { Extra, HttpLimits, Services, State } from './http/context.ts'
import { answerErrors, type ErrorLog } from './http/errors.ts'
import { type InFlight, observe, type Observers } from './http/observe.ts'
import type { Network } from './http/networks.ts'
import { limitRate, type RateLimits } from './http/rate-limit.ts'
import { createRedirectCheck } from './http/redirect.ts'
import { createRouter, prepare } from './http/router.ts'
import { guardWire } from './http/wire.ts'

/** Limits of the server below the requests. */
export interface ServerLimits {
  /** The longest a client may take to send its headers, in ms. */
  readonly headersTimeoutMs: number
  /** How long an idle connection stays open, in ms. */
  readonly keepAliveTimeoutMs: number
  /** Request line and headers together, in bytes. */
  readonly maxHeaderBytes: number
  /** Connections, idle or busy. */
  readonly maxConnections: number
  /** Proxies whose word on who the client is counts. */
  readonly trustedProxies: readonly Network[]
}

export interface AppDependencies
  extends Omit<Services, 'limits' | 'admission' | 'mayRedirect'>, Omit<Observers, 'clientAddress'> {
  readonly log: ErrorLog
  readonly metrics: Observers['metrics'] & BodyMetrics
  readonly limits: HttpLimits & ServerLimits & AdmissionLimits & RateLimits
  /** Which clients are sent to the store for blobs, where it signs URLs; none named: all. */
  readonly redirectNetworks?: readonly Network[] | undefined
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** Every answer under way, with the end of its handler. */
type Running = Map<ServerResponse, Promise<unknown>>

/** A server that can say when its handlers have ended: they may go on after their connections are cut, to keep what came. */
export interface App extends Server {
  /** Resolves when no request is handled any more. */
  readonly settled: () => Promise<void>
  /** From now on every answer asks its client to leave (`Connection: close`), also those that are under way and have not begun. RFC 9112 §9.6. */
  readonly askToLeave: () => void
  readonly hasConnections: () => boolean
  /** Closes connections on which nothing ever came. */
  readonly closeSilentConnections: () => void
}

function createListener(dependencies: AppDependencies, inFlight: InFlight, running: Running): Listener {
  const { log, limits } = dependencies
  const app = new Koa<State, Extra>()
  app.use(observe({ ...dependencies, clientAddress: createClientAddress(limits.trustedProxies) }, inFlight))
  app.use(answerErrors(log, limits))
  if (limits.requestsPerSecond > 0) app.use(limitRate(limits, dependencies.monotonicMs))
  app.use(prepare())
  const admission = createAdmission(limits, dependencies.metrics)
  const mayRedirect = createRedirectCheck(dependencies.redirectNetworks ?? [])
  app.use(createRouter({ ...dependencies, admission, mayRedirect }))
  // Koa reports here what breaks after an answer began, which the access log has already; without a listener it writes to the console.
  app.on('error', () => undefined)
  const handle = app.callback()
  return (request, response) => {
    const forget = (): void => void running.delete(response)
    running.set(response, handle(request, response).then(forget, forget))
  }
}

/** A server that does not listen yet. */
export function createApp(dependencies: AppDependencies): App {
  const { limits } = dependencies
  const inFlight: InFlight = new WeakMap()
  const running: Running = new Map()
  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      // A layer may take an hour to arrive: `body.ts` limits its pauses instead.
      requestTimeout: 0,
      // How often Node looks for headers that take too long.
      connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5000),
      // Checked by the router, which answers in JSON.
      requireHostHeader: false,
      noDelay: true,
    },
    createListener(dependencies, inFlight, running),
  )
  guardWire(server, inFlight, dependencies, limits)
  const settled = async (): Promise<void> => void (await Promise.allSettled(running.values()))
  const askToLeave = (): void => {
    for (const response of running.keys()) response.shouldKeepAlive = false
    server.prependListener('request', (_request, response) => {
      response.shouldKeepAlive = false
    })
  }
  return Object.assign(server, { settled, askToLeave, ...watchConnections(server) })
}

function watchConnections(server: Server): Pick<App, 'hasConnections' | 'closeSilentConnections'> {
  const connections = new Set<Socket>()
  server.on('connection', (socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  return {
    hasConnections: () => [...connections].some((socket) => !socket.destroyed),
    closeSilentConnections: () => {
      for (const socket of connections) if (socket.bytesRead === 0) socket.destroy()
    },
  }
}
