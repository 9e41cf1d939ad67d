/** How the bytes of large objects are fetched: against a server that says exactly what a test wants it to. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, createServer as createTlsServer } from 'node:tls'
import { after, afterEach, before, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { createSocketBuffers } from '../../src/storage/buffers.ts'
import { type Bulk, createBulk } from '../../src/storage/s3/bulk.ts'
import { createCertificate } from './certificate.ts'

const last = 'Last-Modified: Mon, 30 Nov 2026 10:45:07 GMT'
const request = 'GET /b/k HTTP/1.1\r\nhost: x\r\n\r\n'

function head(start: number, end: number, total: number, more = ''): string {
  return `HTTP/1.1 206 Partial Content\r\nContent-Length: ${end - start}\r\nContent-Range: bytes ${start}-${end - 1}/${total}\r\nETag: "e"\r\n${last}\r\n${more}\r\n`
}

const mebibyte = 1024 * 1024

describe('bytes of large objects', () => {
  let server: Server
  let port: number
  let bulk: Bulk
  /** What happens with each request, in the order of connections. */
  let answer: (socket: Socket, count: number) => Promise<unknown>
  let connections: Socket[] = []

  before(async () => {
    server = createServer((socket) => {
      connections.push(socket)
      socket.on('error', () => undefined).on('data', () => void answer(socket, connections.length))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const address = server.address()
    port = typeof address === 'object' && address !== null ? address.port : 0
  })
  after(() => server.close())
  afterEach(() => {
    bulk.close()
    for (const socket of connections) socket.destroy()
    connections = []
  })

  function open(socketTimeoutMs = 5000, buffers = createSocketBuffers(32 * mebibyte)): void {
    const origin = `http://127.0.0.1:${port}`
    bulk = createBulk({ origin, secureContext: undefined, connectTimeoutMs: 2000, socketTimeoutMs, buffers })
  }

  async function fetchAll(
    start: number,
    end: number,
    { pauses = 1, onChunk = () => undefined }: { readonly pauses?: number; readonly onChunk?: () => void } = {},
  ): Promise<Buffer | undefined> {
    const answered = await bulk.fetch({ range: { start, end }, request })
    if (answered === undefined) return undefined
    const chunks: Buffer[] = []
    // Copied, as late as possible: the buffer is used again, but not before.
    await answered.body.copy(async (chunk) => {
      for (let i = 0; i < pauses; i++) await turn()
      chunks.push(Buffer.from(chunk))
      onChunk()
    })
    return Buffer.concat(chunks)
  }

  const send = (socket: Socket, bytes: string | Uint8Array) => new Promise((resolve) => socket.write(bytes, resolve))

  it('come whole, however they are cut on their way, read and shared with others', async () => {
    const buffers = createSocketBuffers(2 * mebibyte)
    open(5000, buffers)
    const bytes = Buffer.from(Uint8Array.from({ length: 1_300_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff))
    const cutsOf = fc.array(fc.integer({ min: 1, max: 450_000 }), { minLength: 1, maxLength: 8 })
    const course = fc.record({
      cuts: cutsOf,
      pauses: fc.nat(5),
      shrinkAt: fc.nat(12),
      end: fc.integer({ min: 1, max: bytes.length }),
    })
    await fc.assert(
      fc.asyncProperty(course, async ({ cuts, pauses, shrinkAt, end }) => {
        answer = async (socket) => {
          const all = Buffer.concat([Buffer.from(head(0, end, bytes.length)), bytes.subarray(0, end)])
          let at = 0
          for (const cut of cuts) {
            await send(socket, all.subarray(at, at + cut))
            await turn()
            at += cut
          }
          await send(socket, all.subarray(at))
        }
        let seen = 0
        let others = 0
        const onChunk = (): void => {
          if (seen++ < shrinkAt) return
          others++
          buffers.begin()
        }
        assert.ok((await fetchAll(0, end, { pauses, onChunk }))?.equals(bytes.subarray(0, end)))
        for (let i = 0; i < others; i++) buffers.end()
      }),
      { numRuns: Number(process.env['BODIES'] ?? 60) },
    )
    assert.equal(connections.length, 1, 'the connection is used again')
  })

  it('come in smaller buffers as soon as many others are under way', async () => {
    const buffers = createSocketBuffers(32 * mebibyte)
    open(5000, buffers)
    const size = 24 * mebibyte
    answer = async (socket) => {
      await send(socket, head(0, size, size))
      await send(socket, Buffer.alloc(size))
    }
    const answered = await bulk.fetch({ range: { start: 0, end: size }, request })
    const chunks: { readonly bytes: number; readonly of: number }[] = []
    await answered?.body.copy(async (chunk) => {
      chunks.push({ bytes: chunk.length, of: chunk.buffer.byteLength })
      if (chunks.filter(({ of }) => of === 4 * mebibyte).length === 1) for (let i = 0; i < 40; i++) buffers.begin()
    })
    // Another lay with the socket, and was filled once more.
    const large = chunks.findIndex(({ of }) => of === 4 * mebibyte)
    assert.ok(large >= 0)
    const later = chunks.slice(large + 2)
    // What came is cut anywhere, so some of the end may be left for small ones.
    const end = later.slice(later.findLastIndex(({ of }) => of !== 64 * 1024) + 1)
    assert.deepEqual(new Set(later.slice(0, later.length - end.length).map(({ of }) => of)), new Set([256 * 1024]))
    assert.ok(end.reduce((sum, { bytes }) => sum + bytes, 0) <= 64 * 1024)
  })

  it('come in the same few buffers for as long as they take, however slow the client is', async () => {
    const buffers = createSocketBuffers(32 * mebibyte)
    open(5000, buffers)
    const size = 16 * mebibyte + 5
    answer = async (socket) => {
      await send(socket, head(0, size, size))
      await send(socket, Buffer.alloc(size))
    }
    const pulls = Array.from({ length: 3 }, async () => {
      const seen = new Set<ArrayBufferLike>()
      const answered = await bulk.fetch({ range: { start: 0, end: size }, request })
      await answered?.body.copy(async (chunk) => {
        seen.add(chunk.buffer)
        for (let i = 0; i < 20; i++) await turn()
      })
      return seen
    })
    for (const seen of await Promise.all(pulls)) assert.ok(seen.size <= 5, `${seen.size} buffers`)
  })

  it('leave their large buffers to the next, and none with the connection', async () => {
    const buffers = createSocketBuffers(32 * mebibyte)
    const size = 9 * mebibyte
    answer = async (socket) => {
      await send(socket, head(0, size, size))
      await send(socket, Buffer.alloc(size))
    }
    open(5000, buffers)
    const seen: Set<ArrayBufferLike>[] = []
    for (let i = 0; i < 2; i++) {
      const answered = await bulk.fetch({ range: { start: 0, end: size }, request })
      const each = new Set<ArrayBufferLike>()
      await answered?.body.copy(async (chunk) => void each.add(chunk.buffer))
      seen.push(each)
    }
    const isLarge = (memory: ArrayBufferLike): boolean => memory.byteLength === 4 * mebibyte
    const [first, second] = seen.map((each) => [...each].filter(isLarge))
    assert.deepEqual([first?.length, connections.length], [2, 1])
    assert.ok(second?.every((memory) => first?.includes(memory)))
    const free = [buffers.take(4 * mebibyte), buffers.take(4 * mebibyte)]
    assert.ok(free.every(({ buffer }) => first?.includes(buffer)))
  })

  it('are not what is asked: left to whoever reads errors', async () => {
    for (const text of [
      'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
      `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "e"\r\n${last}\r\n\r\nabcde`,
      head(1, 6, 10),
      `${head(0, 5, 10).replace('HTTP/1.1', 'HTTP/1.0')}abcde`,
      head(0, 4, 10),
      head(0, 5, 10, 'Transfer-Encoding: chunked\r\n'),
    ]) {
      open()
      answer = (socket) => send(socket, text)
      assert.equal(await fetchAll(0, 5), undefined, text)
      bulk.close()
    }
  })

  it('are no HTTP, or have a head without an end', async () => {
    for (const [text, code] of [
      ['SSH-2.0-x\r\n\r\n', 'MalformedAnswer'],
      [`HTTP/1.1 206 x\r\n${'a: b\r\n'.repeat(20_000)}`, 'MalformedAnswer'],
    ] as const) {
      open()
      answer = (socket) => send(socket, text)
      await assert.rejects(fetchAll(0, 5), { name: 'S3Error', code })
      bulk.close()
    }
  })

  it('break off, or are more than was said', async () => {
    open()
    answer = async (socket) => {
      await send(socket, `${head(0, 10, 10)}12345`)
      socket.end()
    }
    await assert.rejects(fetchAll(0, 10), { name: 'S3Error', code: 'ECONNRESET' })
    answer = (socket) => send(socket, `${head(0, 10, 10)}123456789012`)
    await assert.rejects(fetchAll(0, 10), { name: 'S3Error', code: 'MalformedAnswer' })
  })

  it('are asked for once more when the connection that was kept has been closed', async () => {
    open()
    answer = async (socket, count) => {
      if (count === 1 && connections[0]?.bytesRead !== undefined && connections[0].bytesRead > request.length) {
        socket.destroy()
        return
      }
      await send(socket, `${head(0, 5, 5)}abcde`)
    }
    assert.equal((await fetchAll(0, 5))?.toString(), 'abcde')
    assert.equal((await fetchAll(0, 5))?.toString(), 'abcde')
    assert.equal(connections.length, 2)
  })

  it('come by a new connection when the store will not keep the old one', async () => {
    open()
    answer = (socket) => send(socket, `${head(0, 5, 5, 'Connection: close\r\n')}abcde`)
    for (let i = 0; i < 3; i++) assert.equal((await fetchAll(0, 5))?.toString(), 'abcde')
    assert.equal(connections.length, 3)
  })

  it('fail when the store is silent, not when their reader is', async () => {
    open(300)
    answer = (socket) => send(socket, head(0, 5, 5))
    await assert.rejects(fetchAll(0, 5), { name: 'S3Error', code: 'TimeoutError' })
    answer = (socket) => send(socket, `${head(0, 5, 5)}abcde`)
    const opened = await bulk.fetch({ range: { start: 0, end: 5 }, request })
    // Longer than the store may be silent.
    await once(AbortSignal.timeout(700), 'abort')
    let text = ''
    await opened?.body.copy(async (chunk) => void (text += Buffer.from(chunk).toString()))
    assert.equal(text, 'abcde')
  })

  it('fail when the store falls silent after their reader was slow', async () => {
    open(300)
    answer = (socket) => send(socket, `${head(0, 10, 10)}abcde`)
    const opened = await bulk.fetch({ range: { start: 0, end: 10 }, request })
    // The socket's own clock has run out meanwhile.
    const copied = opened?.body.copy(() => once(AbortSignal.timeout(700), 'abort').then(() => undefined))
    await assert.rejects(async () => copied, { name: 'S3Error', code: 'TimeoutError' })
  })

  it('are given the whole time again by a connection that was kept', async () => {
    open(300)
    answer = (socket) => send(socket, `${head(0, 5, 5)}abcde`)
    await fetchAll(0, 5)
    await once(AbortSignal.timeout(700), 'abort')
    answer = async (socket, count) => {
      // The other connection, which is asked when the first has failed, answers.
      if (count > 1) await send(socket, `${head(0, 5, 5)}fghij`)
    }
    assert.equal((await fetchAll(0, 5))?.toString(), 'fghij')
  })

  it('leave no connection when an answer has no ETag, nor when all is closed', async () => {
    open()
    answer = (socket) => send(socket, `${head(0, 5, 5).replace('ETag: "e"\r\n', '')}abcde`)
    const connected = once(server, 'connection')
    const outcome = bulk.fetch({ range: { start: 0, end: 5 }, request })
    await connected
    const [first] = connections
    const closed = first === undefined ? undefined : once(first, 'close')
    await assert.rejects(outcome, { name: 'S3Error', code: 'MalformedAnswer' })
    await closed
    answer = (socket) => send(socket, head(0, 5, 5))
    const opened = await bulk.fetch({ range: { start: 0, end: 5 }, request })
    const copied = opened?.body.copy(async () => undefined)
    copied?.catch(() => undefined)
    const last = connections.at(-1)
    const lastClosed = last === undefined ? undefined : once(last, 'close')
    bulk.close()
    await lastClosed
    await assert.rejects(async () => copied, { name: 'S3Error', code: 'Closed' })
    await assert.rejects(bulk.fetch({ range: { start: 0, end: 5 }, request }), { name: 'S3Error', code: 'Closed' })
  })

  it('are not asked for by a signal that is aborted already', async () => {
    open()
    answer = async () => undefined
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(bulk.fetch({ range: { start: 0, end: 5 }, request, signal }), /enough/)
    assert.equal(connections.length, 0)
  })

  it('say over TLS which host they want: many servers have several', async (t) => {
    const { cert, key } = createCertificate({ host: 'localhost' })
    const names: unknown[] = []
    const secure = createTlsServer({ cert, key }, (socket) => {
      names.push(socket.servername)
      socket.on('error', () => undefined).once('data', () => socket.write(`${head(0, 5, 5)}abcde`))
    })
    await once(secure.listen(0, '127.0.0.1'), 'listening')
    t.after(() => secure.close())
    const address = secure.address()
    const securePort = typeof address === 'object' && address !== null ? address.port : 0
    const limits = { connectTimeoutMs: 2000, socketTimeoutMs: 5000, buffers: createSocketBuffers(32 * mebibyte) }
    bulk = createBulk({
      origin: `https://localhost:${securePort}`,
      secureContext: createSecureContext({ ca: cert }),
      ...limits,
    })
    assert.equal((await fetchAll(0, 5))?.toString(), 'abcde')
    assert.deepEqual(names, ['localhost'])
    bulk.close()
  })

  it('are given up with their signal, before the answer, and by whoever has them', async () => {
    open()
    answer = async () => undefined
    const controller = new AbortController()
    const waiting = bulk.fetch({ range: { start: 0, end: 5 }, request, signal: controller.signal })
    await once(server, 'connection')
    controller.abort(new Error('enough'))
    await assert.rejects(waiting)
    answer = (socket) => send(socket, head(0, 5, 5))
    const opened = await bulk.fetch({ range: { start: 0, end: 5 }, request })
    const [, second] = connections
    const closed = second === undefined ? undefined : once(second, 'close')
    opened?.body.destroy()
    await closed
    await assert.rejects(async () => opened?.body.copy(async () => undefined))
  })
})
