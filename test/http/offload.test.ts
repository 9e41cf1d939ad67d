/** Blobs left to a server in front (`http.accelPrefix`): which answers name a file, and that the file is the blob. The server itself: `test/clients/nginx.client.ts`. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { computeDigest, type Digest } from '../../src/oci/digest.ts'
import { codesOf, filesystem, memory, pushBlob, startRegistry, type TestRegistry } from './harness.ts'

const bytes = randomBytes(100_000)
const withPrefix = { adapt: <T>(dependencies: T) => ({ ...dependencies, accelPrefix: '/internal/' }) }

describe('a blob left to the server in front', () => {
  let registry: TestRegistry
  let blob: Digest
  before(async () => {
    registry = await startRegistry(filesystem, withPrefix)
    blob = await pushBlob(registry, 'front', bytes)
  })
  after(() => registry.close())

  const get = (headers: Readonly<Record<string, string>> = {}, digest = blob) =>
    registry.send('GET', `/v2/front/blobs/${digest}`, { headers })

  test('is named by its file, with the headers of the blob and no body', async () => {
    const { status, headers, body } = await get()
    assert.deepEqual([status, headers['content-length'], body.length], [200, '0', 0])
    assert.equal(headers['docker-content-digest'], blob)
    assert.equal(headers.etag, `"${blob}"`)
    assert.equal(headers['accept-ranges'], undefined)
    assert.equal(headers['content-type'], 'application/octet-stream')
    const [, key = ''] = /^\/internal\/(data\/.+)$/.exec(String(headers['x-accel-redirect'])) ?? []
    const stored = await registry.driver.read(key)
    assert.ok(stored?.bytes.equals(bytes))
  })

  test('is named for one range, which that server reads; Berth refuses what cannot be satisfied', async () => {
    const { status, headers } = await get({ Range: 'bytes=5-9' })
    assert.deepEqual([status, headers['content-range']], [200, undefined])
    assert.match(String(headers['x-accel-redirect']), /^\/internal\/data\//)
    for (const range of ['bytes=100000-', 'bytes=9-5']) {
      const beyond = await get({ Range: range })
      assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, 'bytes */100000'])
      assert.equal(beyond.headers['x-accel-redirect'], undefined)
      assert.deepEqual(codesOf(beyond), ['RANGE_INVALID'])
    }
  })

  const here: readonly [what: string, headers: Readonly<Record<string, string>>, status: number, length: number][] = [
    ['If-Match', { 'If-Match': '*' }, 200, bytes.length],
    ['If-Range', { Range: 'bytes=5-9', 'If-Range': '"other"' }, 200, bytes.length],
    ['If-Modified-Since', { 'If-Modified-Since': 'Tue, 01 Jan 2030 00:00:00 GMT' }, 200, bytes.length],
    ['If-Unmodified-Since', { 'If-Unmodified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT' }, 200, bytes.length],
    ['If-None-Match', { 'If-None-Match': '*' }, 304, 0],
  ]
  for (const [what, headers, status, length] of here) {
    test(`is answered by Berth when there is ${what}`, async () => {
      const answer = await get(headers)
      assert.deepEqual([answer.status, answer.body.length], [status, length])
      assert.equal(answer.headers['x-accel-redirect'], undefined)
    })
  }

  test('is answered by Berth when several ranges are asked, by HEAD, and when it is not there', async () => {
    const answers = [
      await get({ Range: 'bytes=0-4,10-14' }),
      await registry.send('HEAD', `/v2/front/blobs/${blob}`),
      await get({}, computeDigest('sha256', Buffer.from('missing'))),
      await registry.send('GET', `/v2/elsewhere/blobs/${blob}`),
    ]
    assert.deepEqual(
      answers.map(({ status, headers }) => [status, headers['x-accel-redirect']]),
      [206, 200, 404, 404].map((status) => [status, undefined]),
    )
  })

  test('is sent by Berth when it lies in several files', async () => {
    const start = await registry.send('POST', '/v2/front/blobs/uploads/')
    const session = String(start.headers.location)
    const [one, two] = [bytes.subarray(0, 60_000), bytes.subarray(60_000, 90_000)]
    for (const [body, range] of [
      [one, '0-59999'],
      [two, '60000-89999'],
    ] as const) {
      const answer = await registry.send('PATCH', session, { headers: { 'Content-Range': range }, body })
      assert.equal(answer.status, 202)
    }
    const digest = computeDigest('sha256', bytes.subarray(0, 90_000))
    assert.equal((await registry.send('PUT', `${session}?digest=${digest}`)).status, 201)
    const { headers, body } = await get({}, digest)
    assert.equal(headers['x-accel-redirect'], undefined)
    assert.ok(body.equals(bytes.subarray(0, 90_000)))
  })

  test('is not moved by headers of the request', async () => {
    const plain = await get()
    const asked = await get({
      'X-Accel-Redirect': '/internal/berth',
      'X-Accel-Mapping': '/=/etc/',
      'X-Sendfile': '/etc/passwd',
    })
    assert.equal(asked.headers['x-accel-redirect'], plain.headers['x-accel-redirect'])
  })

  test('is 404 when its bytes are gone', async () => {
    const doomed = await pushBlob(registry, 'front', randomBytes(1000))
    const { headers } = await get({}, doomed)
    await registry.driver.remove(String(headers['x-accel-redirect']).replace('/internal/', ''))
    const answer = await get({}, doomed)
    assert.deepEqual([answer.status, codesOf(answer)], [404, ['BLOB_UNKNOWN']])
  })
})

test('a store without files sends its blobs itself', async () => {
  const registry = await startRegistry(memory, withPrefix)
  try {
    const blob = await pushBlob(registry, 'front', bytes)
    const { headers, body } = await registry.send('GET', `/v2/front/blobs/${blob}`)
    assert.equal(headers['x-accel-redirect'], undefined)
    assert.ok(body.equals(bytes))
  } finally {
    await registry.close()
  }
})
