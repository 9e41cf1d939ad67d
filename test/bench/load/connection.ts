/**
 * One keep-alive connection that sends a request and reads its answer, with next to nothing in between: no client library is as cheap as the
 * servers it should measure. It knows no more of HTTP than those servers send.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Content } from './body.ts'
import { pieces } from './body.ts'

export interface Answer {
  readonly status: number
  readonly location: string
  /** What an error says; other bodies are thrown away as they come. */
  readonly text: string
}

export interface Outgoing {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Content
}

export interface Connection {
  /** One at a time. Resolves when the answer is there and the whole body is sent: some servers answer before. */
  readonly exchange: (request: Outgoing) => Promise<Answer>
  readonly close: () => void
}

/** What a large answer is read into: bytes are counted, and then overwritten. */
const readBytes = 256 * 1024
/** A body up to here goes out with the head in one write. */
const smallBytes = 64 * 1024

export async function openConnection(port: number): Promise<Connection> {
  const reader = createReader()
  const socket = connect({
    host: '127.0.0.1',
    port,
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafeSlow(readBytes),
      callback: (length, buffer) => {
        reader.take(Buffer.from(buffer.buffer, buffer.byteOffset, length))
        return true
      },
    },
  })
  socket.on('error', (error) => reader.fail(error))
  socket.on('close', () => reader.fail(new Error('the server closed the connection')))
  await once(socket, 'connect')
  return {
    close: () => socket.destroy(),
    exchange: async (request) => {
      const answer = reader.expect(request.method)
      const sent = send(socket, request)
      // Both may fail; the answer says more.
      sent.catch(() => undefined)
      const answered = await answer
      await sent
      return answered
    },
  }
}

async function send(socket: Socket, { method, path, headers = {}, body }: Outgoing): Promise<void> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const length = method === 'GET' || method === 'HEAD' ? '' : `Content-Length: ${body?.size ?? 0}\r\n`
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join('')}${length}\r\n`, 'latin1')
  if (body === undefined) {
    socket.write(head)
  } else if (body.size <= smallBytes) {
    socket.write(Buffer.concat([head, ...pieces(body)]))
  } else {
    socket.write(head)
    for (const piece of pieces(body)) if (!socket.write(piece)) await once(socket, 'drain')
  }
}

interface Reader {
  readonly expect: (method: string) => Promise<Answer>
  readonly take: (bytes: Buffer) => void
  readonly fail: (error: Error) => void
}

/** Cuts answers out of what comes. */
function createReader(): Reader {
  let method = ''
  let head = ''
  let answer: { status: number; location: string; text: string } | undefined
  let missing = 0
  let settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined

  function finish(): void {
    const waiting = settle
    if (waiting === undefined || answer === undefined) return
    settle = undefined
    waiting.resolve(answer)
  }

  function takeBody(bytes: Buffer): void {
    if (answer === undefined) return
    if (answer.status >= 400 && answer.text.length < 1000) answer.text += bytes.toString('latin1')
    if (missing === Infinity) {
      // A chunked body ends with a chunk of no bytes; none of those that are measured contains this text.
      if (bytes.subarray(-5).toString('latin1') === '0\r\n\r\n') finish()
      return
    }
    missing -= bytes.length
    if (missing <= 0) finish()
  }

  function take(bytes: Buffer): void {
    if (answer !== undefined) return takeBody(bytes)
    head += bytes.toString('latin1')
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    const bodyBytes = head.length - end - 4
    answer = { status: Number(head.slice(9, 12)), location: headerOf(head, end, 'location'), text: '' }
    missing = method === 'HEAD' ? 0 : bodyLength(head, end)
    if (missing === 0) finish()
    else if (bodyBytes > 0) takeBody(bytes.subarray(bytes.length - bodyBytes))
  }

  return {
    take,
    expect: (next) => {
      method = next
      head = ''
      answer = undefined
      return new Promise((resolve, reject) => (settle = { resolve, reject }))
    },
    fail: (error) => {
      settle?.reject(error)
      settle = undefined
    },
  }
}

function headerOf(head: string, end: number, name: string): string {
  return new RegExp(`\r\n${name}: *([^\r]*)`, 'i').exec(head.slice(0, end))?.[1] ?? ''
}

function bodyLength(head: string, end: number): number {
  const length = headerOf(head, end, 'content-length')
  if (length !== '') return Number(length)
  return headerOf(head, end, 'transfer-encoding') === 'chunked' ? Infinity : 0
}
