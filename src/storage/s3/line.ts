/**
 * A connection that fetches large bodies: what comes is read into buffers that are used again, and no stream is between it and whoever takes it. A stream
 * gives a fresh buffer for each 64 KiB and costs twice the processor (decision 23). It knows HTTP/1.1 just so far, and nothing of S3.
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import type { TransferBuffers } from '../buffers.ts'
import { S3Error } from './errors.ts'
import { createInlet, type Inlet } from './inlet.ts'

export interface LineOptions {
  /** `http://…` or `https://…`. */
  readonly origin: string
  /** Whom to trust, where that is not as usual. */
  readonly secureContext: SecureContext | undefined
  readonly connectTimeoutMs: number
  /** Silence after which it has failed, where somebody waits for it. */
  readonly socketTimeoutMs: number
  readonly buffers: TransferBuffers
}

export interface ResponseHead {
  readonly status: number
  /** Of HTTP/1.1: its body has a length, and the connection stays. */
  readonly isPersistent: boolean
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, string>>
}

export interface Line {
  /** Sends a request without a body and resolves with the head of the answer; its body waits. */
  ask(request: string): Promise<ResponseHead>
  /** Hands so many bytes to `write`, one buffer after the other; then the line can be asked again. */
  copy(bytes: number, write: (chunk: Uint8Array) => Promise<void>): Promise<void>
  /** Whether it can be asked: nothing has happened to it, and nothing came that nobody asked for. */
  readonly isUsable: () => boolean
  destroy(): void
}

/** The most of a head; a buffer while one is waited for. In bytes. */
const headBytes = 64 * 1024

function openSocket({ origin, secureContext }: LineOptions, inlet: Inlet, onConnect: () => void): Socket {
  const { protocol, hostname, port } = new URL(origin)
  const where = {
    // An IPv6 address has brackets in a URL only.
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (protocol === 'https:' ? 443 : 80)),
    noDelay: true,
    onread: {
      buffer: () => inlet.nextBuffer(),
      callback: (bytes: number, buffer: Uint8Array) => inlet.take(buffer.subarray(0, bytes)),
    },
  }
  if (protocol === 'http:') return connectPlain(where, onConnect)
  // Node sends the name (SNI) only when it is told to; an address is none. RFC 6066, section 3.
  const servername = isIP(where.host) === 0 ? { servername: where.host } : {}
  return connectTls({ ...where, ...servername, ...(secureContext && { secureContext }) }, onConnect)
}

/** Opens a connection; whether that succeeds shows when it is asked. `onClose` is called once it is gone. */
export function openLine(options: LineOptions, onClose: () => void): Line {
  const { connectTimeoutMs, socketTimeoutMs, buffers } = options
  const inlet = createInlet(headBytes, buffers)
  const connecting = setTimeout(() => fail('ConnectTimeout', 'it was not connected in time'), connectTimeoutMs)
  const socket = openSocket(options, inlet, () => clearTimeout(connecting))

  function fail(code: string, message: string, cause?: Error): void {
    clearTimeout(connecting)
    inlet.fail(new S3Error(code, undefined, message, cause && { cause }))
    socket.destroy()
  }
  const onEnd = (): void => fail('ECONNRESET', 'the store closed the connection')
  socket.on('end', onEnd).on('close', onEnd).on('close', onClose)
  socket.on('error', (error) => fail('code' in error ? String(error.code) : error.name, error.message, error))
  // Not by the callback of `setTimeout`, which Node calls once. Whoever takes what came may be slow: that is not the store's silence.
  socket.on('timeout', () => {
    if (inlet.isWaiting()) fail('TimeoutError', `the store was silent for ${socketTimeoutMs} ms`)
  })

  function next(): Promise<Uint8Array> {
    // From now on: the clock may have run, or run off, while nobody waited.
    if (!inlet.hasMore()) socket.setTimeout(socketTimeoutMs)
    return inlet.next()
  }

  function release(chunk: Uint8Array): void {
    inlet.release(chunk)
    if (inlet.mayRead()) socket.resume()
  }

  /** A record of TLS has 16 KiB at most, and comes alone. */
  const sizeNow = (): number => (options.origin.startsWith('https:') ? headBytes : buffers.size())

  return {
    isUsable: () => inlet.failure() === undefined && !inlet.hasMore(),
    destroy: () => fail('Closed', 'it was closed'),
    ask(request) {
      socket.write(request)
      return takeHead(inlet, next, () => socket.resume())
    },
    async copy(bytes, write) {
      buffers.begin()
      try {
        inlet.expect(bytes, Math.min(sizeNow(), bytes))
        if (inlet.mayRead()) socket.resume()
        for (let left = bytes; left > 0;) {
          const chunk = await next()
          left -= chunk.length
          if (left < 0) throw new S3Error('MalformedAnswer', undefined, 'the store sends more than it said')
          await write(chunk)
          // Others may have begun meanwhile.
          if (sizeNow() < inlet.size()) inlet.resize(sizeNow())
          release(chunk)
        }
        inlet.finish()
      } catch (error) {
        // A stream may still have one of the buffers.
        fail('Closed', 'its copy ended early')
        throw error
      } finally {
        buffers.end()
      }
    },
  }
}

/** What came behind the head waits. */
async function takeHead(inlet: Inlet, next: () => Promise<Uint8Array>, resume: () => void): Promise<ResponseHead> {
  let bytes = Buffer.alloc(0)
  for (;;) {
    const chunk = await next()
    bytes = Buffer.concat([bytes, chunk])
    const end = bytes.indexOf('\r\n\r\n')
    inlet.release(chunk)
    if (end >= 0) {
      if (end + 4 < bytes.length) inlet.putBack(bytes.subarray(end + 4))
      return parseHead(bytes.subarray(0, end).toString('latin1'))
    }
    if (bytes.length > headBytes) throw new S3Error('MalformedAnswer', undefined, 'the answer has too long a head')
    resume()
  }
}

/** RFC 9112, sections 4 and 5. */
function parseHead(text: string): ResponseHead {
  const [first = '', ...lines] = text.split('\r\n')
  const [, minor, status] = /^HTTP\/1\.(\d) (\d{3})(?: |$)/.exec(first) ?? []
  if (status === undefined) throw new S3Error('MalformedAnswer', undefined, 'the answer is no HTTP')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { status: Number(status), isPersistent: minor === '1', headers }
}
