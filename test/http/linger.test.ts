import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { memory, pushBlob, pushManifest, sendRaw, startRegistry, type TestRegistry } from './harness.ts'

describe('answers to requests that are still arriving', () => {
  let registry: TestRegistry
  let blob = ''
  before(async () => {
    registry = await startRegistry(memory, { limits: { lingerMs: 100 } })
    blob = await pushBlob(registry, 'linger', Buffer.from('hello'))
    await pushManifest(registry, 'linger', 'v1')
  })
  after(() => registry.close())

  const ask = (method: string, path: string): Promise<string> =>
    sendRaw(registry.port, `${method} ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf`)

  test('a GET has its whole body, then the connection ends', async () => {
    const answer = await ask('GET', '/v2/')
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(answer, /\r\nConnection: close\r\n/)
    assert.ok(answer.endsWith('\r\n\r\n{}'))
  })

  test('a HEAD keeps the length of its GET', async () => {
    const answer = await ask('HEAD', `/v2/linger/blobs/${blob}`)
    assert.match(answer, /\r\nContent-Length: 5\r\n/)
    assert.ok(answer.endsWith('\r\n\r\n'))
  })

  test('a HEAD that is refused has no body', async () => {
    assert.match(await ask('HEAD', '/v2/linger/manifests/absent'), /^HTTP\/1\.1 404 [^]*\r\n\r\n$/)
  })

  test('a 202 has length 0, a 204 has none', async () => {
    const started = await ask('POST', '/v2/linger/blobs/uploads/')
    assert.match(started, /^HTTP\/1\.1 202 [^]*\r\nContent-Length: 0\r\n/)
    const location = /\r\nLocation: (\S+)\r\n/.exec(started)?.[1] ?? ''
    const status = await ask('GET', location)
    assert.match(status, /^HTTP\/1\.1 204 /)
    assert.doesNotMatch(status, /content-length|transfer-encoding/i)
  })

  test('a blob is streamed, then the connection ends', async () => {
    const answer = await ask('GET', `/v2/linger/blobs/${blob}`)
    assert.match(answer, /\r\nConnection: close\r\n/)
    assert.ok(answer.endsWith('\r\n\r\nhello'))
  })

  test('a request that is whole within the time still has its answer once', async () => {
    const answer = await sendRaw(registry.port, 'GET /v2/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nhalf', 300)
    assert.equal(answer.split('HTTP/1.1').length, 2)
  })
})
