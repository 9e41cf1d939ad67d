/**
 * A proxy in front of an S3 server that misbehaves as a script says, and writes down what was asked. It passes the Host header on as it
 * came, because S3 signs it: signatures stay valid. Knows HTTP only; S3 shows in the XML of its errors.
 */
import { once } from 'node:events'
import { type ClientRequest, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeCall, type S3Call, type Seen } from './calls.ts'

/** What goes wrong with one request. `bytes` are bytes of the body. */
export type Fault =
  /** An S3 error, without asking the server. */
  | { readonly kind: 'status'; readonly status: number; readonly code: string }
  /** The connection is reset, without asking the server. */
  | { readonly kind: 'reset before' }
  /** The server does it and its answer is lost: the connection ends without a byte. */
  | { readonly kind: 'lost answer' }
  /** The connection ends after the answer's head and so many bytes; an answer that is not longer arrives whole. */
  | { readonly kind: 'cut answer'; readonly bytes: number }
  /** The server is not asked and nothing is answered until `close`. */
  | { readonly kind: 'hang' }
  /** The server does it, and nothing is answered until `close`. */
  | { readonly kind: 'hang after' }
  /** Nothing follows the answer's head and so many bytes until `close`; an answer that is not longer arrives whole. */
  | { readonly kind: 'hang in answer'; readonly bytes: number }
  /** The server gets the head and so many bytes, fewer than there are; then both connections end. */
  | { readonly kind: 'cut request'; readonly bytes: number }
  /** Forwarded without these headers (lower case). A server that checks signatures refuses it when one of them is signed. */
  | { readonly kind: 'drop headers'; readonly names: readonly string[] }
  /** The request is taken whole and forwarded later, even when the client has left meanwhile: so requests overtake each other. */
  | { readonly kind: 'delay'; readonly ms: number }

/** Says what goes wrong with a request; `index` counts those since the script was set, from 0. */
export type Script = (request: Seen, index: number) => Fault | undefined

export interface Proxy {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string
  setScript(script: Script): void
  /** Every request so far, in the order of their heads. */
  readonly requests: readonly Seen[] & { clear(): void }
  /** How many connections of clients are open. */
  connections(): Promise<number>
  /** Ends every connection and every wait. */
  close(): Promise<void>
}

/** A script: the first requests that are this call go wrong, once unless told otherwise. */
export function failNext(call: S3Call, fault: Fault, times = 1): Script {
  let left = times
  return (request) => (describeCall(request) === call && left-- > 0 ? fault : undefined)
}

/** The script of a store that does not know conditions and does not say so. */
export const deaf: Script = () => ({ kind: 'drop headers', names: ['if-none-match', 'if-match'] })

const faultless: Script = () => undefined

export async function startProxy(target: string, firstScript: Script = faultless): Promise<Proxy> {
  const seen: Seen[] = []
  let script = firstScript
  let index = 0
  const closing = new AbortController()
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 })
  const take = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { method = '', url = '', headers } = incoming
    const one: Seen = { method, url, headers }
    seen.push(one)
    const exchange: Exchange = { target: new URL(target), incoming, outgoing, closing: closing.signal }
    act(exchange, script(one, index++)).catch(() => outgoing.destroy())
  }
  server.on('request', take)
  // Otherwise Node would invite the body by itself.
  server.on('checkContinue', take)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy listens on no port')
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    setScript: (next) => {
      script = next
      index = 0
    },
    requests: Object.assign(seen, { clear: () => void seen.splice(0) }),
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
    close: async () => {
      closing.abort()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

interface Exchange {
  readonly target: URL
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly closing: AbortSignal
}

/** Rejects when one of the two sides is lost; the caller then drops the other. */
async function act(exchange: Exchange, fault: Fault | undefined): Promise<void> {
  const { incoming, outgoing } = exchange
  switch (fault?.kind) {
    case undefined:
      return passBack(await ask(exchange), outgoing)
    case 'drop headers':
      return passBack(await ask(exchange, fault.names), outgoing)
    case 'status':
      return answerError(exchange, fault)
    case 'reset before':
      incoming.socket.resetAndDestroy()
      return undefined
    case 'hang':
      incoming.resume()
      return undefined
    case 'hang after':
      await buffer(await ask(exchange))
      return undefined
    case 'lost answer':
      await buffer(await ask(exchange))
      incoming.socket.destroy()
      return undefined
    case 'cut answer':
      await passSome(await ask(exchange), outgoing, fault.bytes)
      incoming.socket.destroySoon()
      return undefined
    case 'hang in answer':
      return passSome(await ask(exchange), outgoing, fault.bytes)
    case 'cut request':
      return cutRequest(exchange, fault.bytes)
    case 'delay':
      return forwardLater(exchange, fault.ms)
  }
}

/** Opens the request to the server; its body is the caller's. */
function open({ target, incoming, closing }: Exchange, without: readonly string[] = []): ClientRequest {
  const { hostname, port } = target
  const { method = '', url = '', rawHeaders } = incoming
  const isKept = (_: string, at: number): boolean => !without.includes((rawHeaders[at - (at % 2)] ?? '').toLowerCase())
  // As an array they are sent as they are, the Host too. A connection for each: none is half dead when the server was killed.
  const headers = rawHeaders.filter(isKept)
  const onward = request({ hostname, port, method, path: url, headers, agent: false, signal: closing })
  onward.on('error', () => undefined)
  return onward
}

/** Forwards a request while it comes in, and returns the answer, which is not read yet. */
async function ask(exchange: Exchange, without?: readonly string[]): Promise<IncomingMessage> {
  const { incoming, outgoing } = exchange
  const onward = open(exchange, without)
  onward.once('continue', () => outgoing.writeContinue())
  outgoing.once('close', () => onward.destroy())
  incoming.pipe(onward)
  return answerTo(onward)
}

function answerTo(onward: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    onward.once('response', resolve)
    onward.once('error', reject)
  })
}

async function passBack(answer: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  writeHead(answer, outgoing)
  await pipeline(answer, outgoing)
}

/** Leaves an answer unfinished, unless it is not longer. */
async function passSome(answer: IncomingMessage, outgoing: ServerResponse, bytes: number): Promise<void> {
  const some = await firstBytes(answer, bytes)
  writeHead(answer, outgoing)
  outgoing.flushHeaders()
  outgoing.write(some)
}

function writeHead(answer: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders)
}

function answerError({ incoming, outgoing }: Exchange, { status, code }: { status: number; code: string }): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>scripted</Message></Error>`
  outgoing.writeHead(status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) })
  outgoing.end(incoming.method === 'HEAD' ? undefined : body)
}

/** By hand, because a request of Node's does not say when its head is on its way. */
async function cutRequest({ target, incoming, outgoing }: Exchange, bytes: number): Promise<void> {
  if (incoming.headers.expect !== undefined) outgoing.writeContinue()
  const some = await firstBytes(incoming, bytes)
  const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`]
  for (let at = 0; at < incoming.rawHeaders.length; at += 2) {
    lines.push(`${incoming.rawHeaders[at]}: ${incoming.rawHeaders[at + 1]}`)
  }
  const socket = connect(Number(target.port), target.hostname)
  socket.on('error', () => undefined)
  socket.once('close', () => outgoing.destroy())
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  socket.write(some)
  socket.destroySoon()
}

async function forwardLater(exchange: Exchange, ms: number): Promise<void> {
  const { incoming, outgoing, closing } = exchange
  if (incoming.headers.expect !== undefined) outgoing.writeContinue()
  const body = await buffer(incoming)
  await sleep(ms, undefined, { signal: closing })
  const onward = open(exchange)
  onward.end(body)
  await passBack(await answerTo(onward), outgoing)
}

/** The first bytes of a stream, which is destroyed when there are more. */
async function firstBytes(stream: IncomingMessage, count: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let left = count
  if (left === 0) return Buffer.alloc(0)
  for await (const chunk of stream) {
    const piece: Buffer = chunk.subarray(0, left)
    chunks.push(piece)
    left -= piece.length
    if (left === 0) break
  }
  return Buffer.concat(chunks)
}
