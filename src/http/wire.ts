/**
 * Answers what is not a request: bytes that the HTTP parser refuses, headers that are too big or never end, CONNECT. Clients of a plain port
 * begin with a TLS ClientHello and fall back when they get `HTTP/1.1 400`; all of these answers have error JSON, too. RFC 9112 §2.2, §9.
 */
import { type IncomingMessage, STATUS_CODES, type Server, type ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ErrorCode } from '../oci/errors.ts'
import { plainAddress } from './client-address.ts'
import { limitConnections } from './connections.ts'
import { encodeErrors } from './errors.ts'
import type { HttpContext } from './context.ts'
import type { InFlight, Observers } from './observe.ts'

interface Refusal {
  /** What stands for the route in log and metrics; `malformed` unless something else is said. */
  readonly route?: 'tls' | 'refused'
  /** When to try again, in seconds. */
  readonly retryAfter?: number
  readonly status: number
  readonly code: ErrorCode
  readonly message: string
}

const malformed: Refusal = { status: 400, code: 'REQUEST_INVALID', message: 'this is not a valid HTTP/1.1 request' }

/** What the parser or a timer of Node's server says, as an answer; everything else is `malformed`. */
const refusals: ReadonlyMap<string | undefined, Refusal> = new Map<string, Refusal>([
  ['HPE_HEADER_OVERFLOW', { status: 431, code: 'REQUEST_INVALID', message: 'request line and headers are too large' }],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', { status: 413, code: 'TOO_LARGE', message: 'the chunk extensions are too large' }],
  ['HPE_INVALID_EOF_STATE', { ...malformed, message: 'the connection ended before the request was whole' }],
  ['ERR_HTTP_REQUEST_TIMEOUT', { status: 408, code: 'REQUEST_TIMEOUT', message: 'the headers did not arrive in time' }],
])

/** One connection too many: those that are there end sooner or later. */
const tooMany: Refusal = {
  route: 'refused',
  status: 503,
  code: 'UNAVAILABLE',
  message: 'there are too many connections at the moment',
  retryAfter: 5,
}

/** What clients send that try HTTPS first, on every connection: no more than a note. RFC 8446 §5.1: handshake, version 3.x. */
const isTls: Refusal = { ...malformed, route: 'tls', message: 'this port speaks HTTP, not TLS' }

function isClientHello(error: NodeJS.ErrnoException): boolean {
  const packet = 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : undefined
  return packet?.[0] === 0x16 && packet[1] === 3
}

function refusalOf(error: NodeJS.ErrnoException): Refusal {
  return isClientHello(error) ? isTls : (refusals.get(error.code) ?? malformed)
}

function headersOf(body: Buffer): Readonly<Record<string, string>> {
  return {
    'Content-Type': 'application/json',
    'Content-Length': String(body.length),
    'Docker-Distribution-Api-Version': 'registry/2.0',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
  }
}

/** Writes a whole answer to a bare socket and closes it a moment later: unread bytes would turn the close into a reset. */
function answerSocket(socket: Duplex, { status, code, message, retryAfter }: Refusal, lingerMs: number): void {
  const body = encodeErrors([{ code, message }])
  const headers = { ...headersOf(body), ...(retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) }) }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`
  socket.end(Buffer.concat([Buffer.from(head, 'latin1'), body]))
  socket.on('error', () => undefined)
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
  socket.resume()
}

/**
 * Answers a request whose body turned out to be malformed, or ended with the connection, while it was handled. Node has let go of the request by then: it
 * never says that it is closed, so the handler is told here, and keeps what came.
 */
function refuseRequest({ req, res, state }: HttpContext, refusal: Refusal, error: Error, lingerMs: number): void {
  const { socket } = req
  state.body?.breakOff(error)
  if (res.headersSent) {
    // Nothing can be said in the middle of another answer; unless that is whole already, it is cut.
    if (!res.writableEnded) socket.destroy(error)
    return
  }
  const { status, code, message } = refusal
  const body = encodeErrors([{ code, message }])
  state.errorCode = code
  res.writeHead(status, headersOf(body)).end(body)
  setTimeout(() => socket.destroy(), lingerMs).unref()
}

function isGone(error: NodeJS.ErrnoException, socket: Duplex): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE' || socket.destroyed
}

interface WireLimits {
  readonly maxConnections: number
  readonly lingerMs: number
}

/** Guards a server that does not listen yet. `inFlight` knows the newest request of each socket. */
export function guardWire(
  server: Server,
  inFlight: InFlight,
  { accessLog, metrics }: Pick<Observers, 'accessLog' | 'metrics'>,
  { maxConnections, lingerMs }: WireLimits,
): void {
  const refuse = (socket: Duplex, method: string, refusal: Refusal, reason: string | undefined): void => {
    const remote = socket instanceof Socket ? socket.remoteAddress : undefined
    const address = remote && plainAddress(remote)
    answerSocket(socket, refusal, lingerMs)
    const { status, code, route = 'malformed' } = refusal
    metrics.startRequest()
    metrics.recordRequest({ route, method, status, durationSeconds: 0, requestBytes: 0, responseBytes: 0 })
    accessLog.request({ method, route, status, code, reason, address }, route === 'tls' ? 'debug' : 'info')
  }

  limitConnections(server, maxConnections, (socket) => refuse(socket, 'other', tooMany, undefined))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (isGone(error, socket)) {
      socket.destroy()
      return
    }
    // Already answered, and lingering: what still comes is not looked at.
    if (!socket.writable) return
    const refusal = refusalOf(error)
    const ctx = inFlight.get(socket)
    if (ctx === undefined || ctx.res.writableFinished) refuse(socket, 'other', refusal, error.code)
    else refuseRequest(ctx, refusal, error, lingerMs)
  })
  server.on('connect', (_request: IncomingMessage, socket) => {
    refuse(
      socket,
      'CONNECT',
      { status: 405, code: 'UNSUPPORTED', message: 'this is a registry, not a proxy' },
      undefined,
    )
  })
  // RFC 9110 §10.1.1: an expectation that is not understood may be ignored; Node would answer 417 without a body.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response)
  })
}
