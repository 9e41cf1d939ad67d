import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { chooseRequestId } from '../../src/http/observe.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { type LogLine, memory, pushBlob, pushManifest, startRegistry, type TestRegistry, until } from './harness.ts'

test('the id of a request is the one it brought when that is sane, else a new one', () => {
  const choose = (inbound: string | string[] | undefined): string => chooseRequestId(inbound, () => 'new')
  for (const sane of ['a', '0af7651916cd43dd8448eb211c80319c', 'Root=1-67891233-abc', 'a.b/c:d+e@f']) {
    assert.equal(choose(sane), sane)
  }
  for (const odd of [undefined, '', 'a b', 'a\nb', 'x'.repeat(129), 'ä', '"', '<script>', ['a', 'b']]) {
    assert.equal(choose(odd), 'new')
  }
})

/** A registry with a blob of 8 MiB, for what happens while it is downloaded. */
async function withBlob(work: (registry: TestRegistry, blob: Digest, size: number) => Promise<void>): Promise<void> {
  const registry = await startRegistry(memory, { limits: { bodyIdleTimeoutMs: 300 } })
  try {
    const bytes = randomBytes(8 * 1024 * 1024)
    await work(registry, await pushBlob(registry, 'log', bytes), bytes.length)
  } finally {
    await registry.close()
  }
}

async function lineOf(registry: TestRegistry, isWanted: (line: LogLine) => boolean): Promise<LogLine> {
  await until(() => registry.log.some(isWanted))
  return registry.log.find(isWanted) ?? assert.fail()
}

/** Downloads over a bare socket until `enough` bytes are there; the socket reads no further. */
async function download(port: number, path: string, enough: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: h\r\nUser-Agent: test/1\r\n\r\n`)
  let received = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    received += Buffer.from(chunk).length
    if (received >= enough) break
  }
  return socket.pause()
}

describe('the access log and the metrics', () => {
  test('one line and one sample for each request, with what an operator asks for', async () => {
    await withBlob(async (registry, blob, size) => {
      await pushManifest(registry, 'log/a', 'v1')
      const headers = { 'X-Request-Id': 'from-proxy', 'User-Agent': 'docker/28' }
      const answer = await registry.send('GET', '/v2/log/a/manifests/v1', { headers })
      assert.equal(answer.headers['x-request-id'], 'from-proxy')
      const { durationMs, ...line } = await lineOf(registry, ({ requestId }) => requestId === 'from-proxy')
      assert.ok(typeof durationMs === 'number' && durationMs >= 0)
      assert.deepEqual(line, {
        level: 'info',
        requestId: 'from-proxy',
        method: 'GET',
        route: 'end-3',
        repository: 'log/a',
        status: 200,
        code: undefined,
        aborted: undefined,
        bytesIn: 0,
        bytesOut: answer.body.length,
        address: '127.0.0.1',
        userAgent: 'docker/28',
      })
      const { durationSeconds, ...sample } = registry.samples.at(-1) ?? assert.fail()
      assert.ok(Math.abs(durationSeconds * 1000 - durationMs) < 0.01)
      assert.deepEqual(sample, {
        route: 'end-3',
        method: 'GET',
        status: 200,
        requestBytes: 0,
        responseBytes: answer.body.length,
      })
      const pushed = await lineOf(registry, ({ bytesIn }) => bytesIn === size)
      assert.deepEqual([pushed['method'], pushed['route'], pushed['status']], ['POST', 'end-4', 201])
      await registry.send('GET', `/v2/log/blobs/${blob}`)
      const pulled = await lineOf(registry, ({ bytesOut }) => bytesOut === size)
      assert.deepEqual([pulled['route'], pulled['status'], pulled['aborted']], ['end-2', 200, undefined])
    })
  })

  test('refusals have their code; what no route has is `unmatched`; HEAD and 304 sent no body', async () => {
    await withBlob(async (registry, blob) => {
      const requests = [
        ['GET', '/nothing', {}, ['unmatched', 404, 'NOT_FOUND']],
        ['GET', '/v2/UPPER/manifests/v1', {}, ['end-3', 400, 'NAME_INVALID']],
        ['HEAD', `/v2/log/blobs/${blob}`, {}, ['end-2', 200, undefined]],
        ['GET', `/v2/log/blobs/${blob}`, { 'If-None-Match': '*' }, ['end-2', 304, undefined]],
      ] as const
      for (const [method, path, headers, [route, status, code]] of requests) {
        const { length } = registry.log
        await registry.send(method, path, { headers })
        await until(() => registry.log.length > length)
        const line = registry.log.at(-1)
        assert.deepEqual([line?.['route'], line?.['status'], line?.['code']], [route, status, code])
        if (status < 400) assert.equal(line?.['bytesOut'], 0)
      }
    })
  })

  test('a client that leaves in the middle of a download is aborted, with the bytes that were handed to the socket', async () => {
    await withBlob(async (registry, blob, size) => {
      const socket = await download(registry.port, `/v2/log/blobs/${blob}`, 1000)
      socket.destroy()
      const line = await lineOf(registry, ({ userAgent }) => userAgent === 'test/1')
      assert.equal(line['status'], 200)
      assert.equal(line['aborted'], true)
      assert.ok(Number(line['bytesOut']) > 0 && Number(line['bytesOut']) < size)
      assert.deepEqual(registry.faults, [])
    })
  })

  test('a client that stops reading is let go after the idle time', async () => {
    await withBlob(async (registry, blob) => {
      const socket = await download(registry.port, `/v2/log/blobs/${blob}`, 1000)
      const line = await lineOf(registry, ({ userAgent }) => userAgent === 'test/1')
      assert.equal(line['aborted'], true)
      assert.deepEqual(registry.faults, [])
      socket.destroy()
    })
  })

  test('a client that stops reading a big manifest is let go, too', async () => {
    const limits = { bodyIdleTimeoutMs: 300, maxManifestBytes: 16 * 1024 * 1024 }
    const registry = await startRegistry(memory, { limits })
    try {
      await pushManifest(registry, 'big', 'v1', { annotations: { pad: 'x'.repeat(14 * 1024 * 1024) } })
      const socket = await download(registry.port, '/v2/big/manifests/v1', 1000)
      const { aborted, status } = await lineOf(registry, ({ userAgent }) => userAgent === 'test/1')
      assert.equal(status, 200)
      assert.equal(aborted, undefined, 'a small answer is handed to the socket whole')
      socket.destroy()
      assert.equal((await registry.send('GET', '/v2/')).status, 200)
    } finally {
      await registry.close()
    }
  })

  test('a complete download is never aborted, though clients close as soon as they have the last byte', async () => {
    await withBlob(async (registry, blob, size) => {
      for (let i = 0; i < 20; i++) (await download(registry.port, `/v2/log/blobs/${blob}`, size + 300)).destroy()
      await until(() => registry.log.filter(({ userAgent }) => userAgent === 'test/1').length === 20)
      for (const line of registry.log.filter(({ userAgent }) => userAgent === 'test/1')) {
        assert.equal(line['aborted'], undefined)
        assert.equal(line['bytesOut'], size)
      }
    })
  })

  test('a client that leaves before it was answered is 499', async () => {
    const { promise: never } = Promise.withResolvers<never>()
    const registry = await startRegistry(memory, {
      adapt: (dependencies) => ({
        ...dependencies,
        registry: { ...dependencies.registry, catalog: { list: () => never } },
      }),
    })
    try {
      const socket = connect(registry.port, '127.0.0.1')
      socket.write('GET /v2/_catalog HTTP/1.1\r\nHost: h\r\n\r\n')
      for (let i = 0; i < 3; i++) await registry.send('GET', '/v2/')
      socket.destroy()
      const line = await lineOf(registry, ({ route }) => route === 'catalog')
      assert.deepEqual([line['status'], line['aborted'], line['bytesOut']], [499, true, 0])
      assert.equal(registry.samples.at(-1)?.status, 499)
    } finally {
      await registry.close()
    }
  })
})
