import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { ClientGoneError, hasBody, openBody, readWhole, type RequestBody } from '../../src/http/body.ts'
import { OciError } from '../../src/oci/errors.ts'

/** Hands the request that a raw client sends to `work`, and gives back what that returns. */
async function withRequest<T>(
  bytes: string,
  work: (request: IncomingMessage, client: Socket) => Promise<T>,
): Promise<T> {
  const server = createServer({ keepAliveTimeout: 1 }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
  client.on('error', () => undefined).resume()
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  server.on('request', (request: IncomingMessage) => {
    work(request, client).then(resolve, reject)
  })
  client.write(bytes)
  try {
    return await promise
  } finally {
    client.destroy()
    server.closeAllConnections()
    server.close()
  }
}

const sized = (n: number): string => `PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: ${n}\r\n\r\n`
const chunked = 'PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n'
const options = { bodyIdleTimeoutMs: 5000, minRateBytes: 0 }

const isOciError = (code: string) => (error: unknown) => error instanceof OciError && error.code === code

test('a body arrives whole, and counts what arrived', async () => {
  await withRequest(`${sized(5)}hello`, async (request) => {
    const body = openBody(request, options)
    assert.equal(body.length, 5)
    assert.equal(body.received, 0)
    assert.equal(String(await readWhole(body)), 'hello')
    assert.equal(body.received, 5)
  })
})

test('a chunked body has no length, and arrives whole', async () => {
  await withRequest(`${chunked}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`, async (request) => {
    const body = openBody(request, options)
    assert.equal(body.length, undefined)
    assert.equal(await body.isEmpty(), false)
    assert.equal(String(await readWhole(body)), 'abcde')
  })
})

test('a chunk that is released has no bytes any more, and takes none of another away', async () => {
  const bytes = 'x'.repeat(200_000)
  await withRequest(sized(bytes.length) + bytes, async (request) => {
    const body = openBody(request, options)
    let size = 0
    const kept: Buffer[] = []
    for await (const chunk of body) {
      size += chunk.length
      if (kept.length === 0) kept.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
      else {
        const { length } = chunk
        body.release(chunk)
        body.release(chunk)
        assert.equal(chunk.length, length < 4096 ? length : 0)
      }
    }
    assert.equal(size, bytes.length)
    assert.ok((kept[0]?.length ?? 0) > 0 && kept[0]?.every((byte) => byte === 120))
    // A part of what others use, as small buffers of Node are, stays.
    const part = Buffer.from('a part')
    body.release(part)
    assert.equal(String(part), 'a part')
  })
})

test('a request without a body has an empty one', async () => {
  await withRequest('PUT / HTTP/1.1\r\nHost: h\r\n\r\n', async (request) => {
    assert.equal(hasBody(request), false)
    const body = openBody(request, options)
    assert.equal(body.length, 0)
    assert.equal((await readWhole(body)).length, 0)
  })
})

test('a chunked body without a byte is empty', async () => {
  await withRequest(`${chunked}0\r\n\r\n`, async (request) => {
    assert.equal(hasBody(request), true)
    const body = openBody(request, options)
    assert.equal(await body.isEmpty(), true)
    assert.equal((await readWhole(body)).length, 0)
  })
})

test('a body that stops is REQUEST_TIMEOUT, and the connection stays for the answer', async () => {
  await withRequest(`${sized(10)}abc`, async (request) => {
    const body = openBody(request, { ...options, bodyIdleTimeoutMs: 50 })
    await assert.rejects(readWhole(body), isOciError('REQUEST_TIMEOUT'))
    assert.equal(body.received, 3)
    assert.equal(request.socket.destroyed, false)
  })
})

test('a consumer that is slow does not make the client look idle', async () => {
  await withRequest(`${sized(6)}abc`, async (request, client) => {
    const body = openBody(request, { ...options, bodyIdleTimeoutMs: 60 })
    const chunks: string[] = []
    for await (const chunk of body) {
      chunks.push(Buffer.from(chunk).toString())
      if (chunks.length > 1) continue
      // Longer than the limit for pauses: it is the consumer that pauses.
      const { promise, resolve } = Promise.withResolvers<void>()
      setTimeout(resolve, 150)
      await promise
      client.write('def')
    }
    assert.equal(chunks.join(''), 'abcdef')
  })
})

test('an announced length over the limit is TOO_LARGE before anything is read', async () => {
  await withRequest(sized(11), async (request) => {
    assert.throws(() => openBody(request, { ...options, maxBytes: 10 }), isOciError('TOO_LARGE'))
  })
})

test('a chunked body over the limit is TOO_LARGE', async () => {
  await withRequest(`${chunked}6\r\nabcdef\r\n6\r\nabcdef\r\n`, async (request) => {
    await assert.rejects(readWhole(openBody(request, { ...options, maxBytes: 10 })), isOciError('TOO_LARGE'))
    assert.equal(request.socket.destroyed, false)
  })
})

test('an announced length that no store holds is TOO_LARGE', async () => {
  await withRequest('PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n', async (request) => {
    assert.throws(() => openBody(request, options), isOciError('TOO_LARGE'))
  })
})

test('a client that leaves is ClientGoneError, after everything that came', async () => {
  await withRequest(`${sized(10)}abc`, async (request, client) => {
    const body: RequestBody = openBody(request, options)
    const chunks: Uint8Array[] = []
    await assert.rejects(async () => {
      for await (const chunk of body) {
        chunks.push(chunk)
        client.destroy()
      }
    }, ClientGoneError)
    assert.equal(Buffer.concat(chunks).toString(), 'abc')
  })
})

test('leaving a body early does not close the connection', async () => {
  await withRequest(`${sized(10)}abc`, async (request) => {
    for await (const chunk of openBody(request, options)) {
      assert.equal(chunk.length, 3)
      break
    }
    assert.equal(request.socket.destroyed, false)
    assert.equal(request.isPaused(), true)
  })
})

test('a client that sends faster than it is read is told to stop', async () => {
  const total = 32 * 1024 * 1024
  await withRequest(sized(total), async (request, client) => {
    client.write(Buffer.alloc(total, 7))
    const body = openBody(request, options)
    let read = 0
    let most = 0
    for await (const chunk of body) {
      read += chunk.length
      most = Math.max(most, body.received - read)
      const { promise, resolve } = Promise.withResolvers<void>()
      setImmediate(resolve)
      await promise
    }
    assert.equal(read, total)
    assert.ok(most <= 1024 * 1024, `${most} bytes waited`)
  })
})
