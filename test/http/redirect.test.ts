/** Blobs that the client gets from the store itself: which answers send it there, that it gets the bytes, and that nobody else learns the URL. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { after, before, describe, test } from 'node:test'
import { computeDigest, type Digest } from '../../src/oci/digest.ts'
import type { Network } from '../../src/http/networks.ts'
import type { Driver } from '../../src/storage/driver.ts'
import {
  codesOf,
  type Configuration,
  memory,
  pushBlob,
  pushManifest,
  sendRaw,
  startRegistry,
  type StartOptions,
  type TestRegistry,
  until,
} from './harness.ts'

const bytes = randomBytes(100_000)
const signature = 'X-Amz-Signature=c0ffee'

/** A store that clients can reach: what it was asked, and a driver that signs URLs of it. */
interface SigningStore {
  readonly asked: IncomingHttpHeaders[]
  readonly port: number
  readonly configuration: Configuration
  close(): Promise<void>
}

/** Serves the values of a driver by their keys, whole or one range of them. */
function serveValues(asked: SigningStore['asked'], find: () => Driver | undefined): Server {
  async function serve({ url = '', headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    asked.push(headers)
    const { pathname, search } = new URL(url, 'http://store')
    const stored = search === `?${signature}` ? await find()?.read(pathname.slice(1)) : undefined
    const [range, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? []
    if (stored === undefined) response.writeHead(404).end()
    else if (range === undefined) response.end(stored.bytes)
    else response.writeHead(206).end(stored.bytes.subarray(Number(first), Number(last) + 1))
  }
  return createServer((request, response) => void serve(request, response))
}

async function startStore(): Promise<SigningStore> {
  const asked: SigningStore['asked'] = []
  let opened: Driver | undefined
  const server = serveValues(asked, () => opened)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const signUrl = async (key: string): Promise<string> => `http://localhost:${port}/${key}?${signature}`
  const configuration: Configuration = {
    name: 'memory that signs URLs',
    async open() {
      const { driver } = await memory.open()
      opened = driver
      return { driver: { ...driver, signUrl }, close: () => driver.close() }
    },
  }
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { asked, port, configuration, close }
}

let store: SigningStore
let registry: TestRegistry
let blob: Digest
before(async () => {
  store = await startStore()
  registry = await startRegistry(store.configuration)
  blob = await pushBlob(registry, 'far', bytes)
})
after(async () => {
  await registry.close()
  await store.close()
})

const get = (headers: Readonly<Record<string, string>> = {}, digest = blob) =>
  registry.send('GET', `/v2/far/blobs/${digest}`, { headers })

async function pushInTwo(first: Buffer, second: Buffer): Promise<Digest> {
  const start = await registry.send('POST', '/v2/far/blobs/uploads/')
  const session = String(start.headers.location)
  const end = first.length + second.length - 1
  for (const [body, range] of [
    [first, `0-${first.length - 1}`],
    [second, `${first.length}-${end}`],
  ] as const) {
    const answer = await registry.send('PATCH', session, { headers: { 'Content-Range': range }, body })
    assert.equal(answer.status, 202)
  }
  const digest = computeDigest('sha256', Buffer.concat([first, second]))
  assert.equal((await registry.send('PUT', `${session}?digest=${digest}`)).status, 201)
  return digest
}

async function keyOf(digest: Digest): Promise<string> {
  const { headers } = await get({}, digest)
  return new URL(String(headers.location)).pathname.slice(1)
}

describe('a client is sent to the store', () => {
  test('with the digest, without a body, and with nothing that could be kept', async () => {
    const { status, headers, body } = await get()
    assert.deepEqual([status, headers['content-length'], body.length], [307, '0', 0])
    assert.equal(headers['docker-content-digest'], blob)
    assert.equal(headers['cache-control'], 'no-store')
    const absent = ['content-type', 'etag', 'accept-ranges', 'transfer-encoding', 'x-accel-redirect'] as const
    for (const name of absent) assert.equal(headers[name], undefined, name)
    assert.ok(String(headers.location).startsWith(`http://localhost:${store.port}/data/`))
  })

  test('where it gets the bytes, or its range of them, and leaves its credentials here', async () => {
    const url = `http://127.0.0.1:${registry.port}/v2/far/blobs/${blob}`
    for (const [range, status, expected] of [
      [undefined, 200, bytes],
      ['bytes=5-99', 206, bytes.subarray(5, 100)],
    ] as const) {
      store.asked.length = 0
      const headers = { Authorization: 'Basic c2VjcmV0', ...(range === undefined ? {} : { Range: range }) }
      const answer = await fetch(url, { headers })
      assert.equal(answer.status, status)
      assert.ok(Buffer.from(await answer.arrayBuffer()).equals(expected))
      assert.deepEqual(
        store.asked.map(({ range: asked, authorization }) => [asked, authorization]),
        [[range, undefined]],
      )
    }
  })

  test('with the other forms of one range', async () => {
    for (const range of ['bytes=5-', 'bytes=-7']) assert.equal((await get({ Range: range })).status, 307, range)
  })

  test('and the log, and what is counted, have the answer and not the URL', async () => {
    await get({ 'X-Request-Id': 'sent-away' })
    const find = () => registry.log.find(({ requestId }) => requestId === 'sent-away')
    await until(() => find() !== undefined)
    const { status, bytesOut, aborted } = find() ?? {}
    assert.deepEqual([status, bytesOut, aborted], [307, 0, undefined])
    assert.ok(registry.samples.some((sample) => sample.status === 307 && sample.route === 'end-2'))
    assert.doesNotMatch(JSON.stringify([registry.log, registry.faults, registry.samples]), /Signature|localhost/)
  })
})

describe('Berth answers itself', () => {
  const here: readonly [what: string, headers: Readonly<Record<string, string>>, status: number, length: number][] = [
    ['a range written in an unusual way', { Range: 'bytes=0-4,' }, 206, 5],
    ['a range in another unit', { Range: 'lines=0-4' }, 200, bytes.length],
    ['If-Match', { 'If-Match': '*' }, 200, bytes.length],
    ['If-Range', { Range: 'bytes=5-9', 'If-Range': '"other"' }, 200, bytes.length],
    ['If-Modified-Since', { 'If-Modified-Since': 'Tue, 01 Jan 2030 00:00:00 GMT' }, 200, bytes.length],
    ['If-Unmodified-Since', { 'If-Unmodified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT' }, 200, bytes.length],
    ['If-None-Match', { 'If-None-Match': '*' }, 304, 0],
    ['the host of the store', { Host: 'localhost' }, 200, bytes.length],
    ['it at another port', { Host: 'localhost:1' }, 200, bytes.length],
    ['it in capitals and with the dot of the root', { Host: 'LocalHost.:5000' }, 200, bytes.length],
    ['a host that no URL has', { Host: 'localhost:x' }, 200, bytes.length],
  ]
  for (const [what, headers, status, length] of here) {
    test(`where there is ${what}`, async () => {
      const answer = await get(headers)
      assert.deepEqual([answer.status, answer.headers.location], [status, undefined])
      assert.equal(answer.body.length, length)
    })
  }

  test('for several ranges', async () => {
    const { status, headers } = await get({ Range: 'bytes=0-4,10-14' })
    assert.deepEqual([status, headers.location], [206, undefined])
    assert.match(String(headers['content-type']), /^multipart\/byteranges;/)
  })

  test('where no host is named', async () => {
    for (const head of ['HTTP/1.0\r\n', 'HTTP/1.1\r\nHost:\r\nConnection: close\r\n']) {
      const text = await sendRaw(registry.port, `GET /v2/far/blobs/${blob} ${head}\r\n`)
      assert.match(text, /^HTTP\/1\.1 200 /)
      assert.doesNotMatch(text, /^location:/im)
    }
  })

  test('HEAD, with the size', async () => {
    const { status, headers } = await registry.send('HEAD', `/v2/far/blobs/${blob}`)
    assert.deepEqual([status, headers['content-length'], headers.location], [200, '100000', undefined])
  })

  test('a range that cannot be satisfied', async () => {
    for (const range of ['bytes=100000-', 'bytes=9-5', 'bytes=-0', 'bytes=x']) {
      const answer = await get({ Range: range })
      assert.deepEqual([answer.status, answer.headers['content-range']], [416, 'bytes */100000'], range)
      assert.equal(answer.headers.location, undefined)
      assert.deepEqual(codesOf(answer), ['RANGE_INVALID'])
    }
  })

  test('for a small blob, up to 16 KiB', async () => {
    const small = await pushBlob(registry, 'far', bytes.subarray(0, 16 * 1024))
    const larger = await pushBlob(registry, 'far', bytes.subarray(0, 16 * 1024 + 1))
    const answers = [await get({}, small), await get({}, larger)]
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body.length]),
      [
        [200, 16 * 1024],
        [307, 0],
      ],
    )
  })

  test('for a blob that lies in several segments', async () => {
    const digest = await pushInTwo(bytes.subarray(0, 60_000), bytes.subarray(60_000, 90_000))
    const { status, headers, body } = await get({}, digest)
    assert.deepEqual([status, headers.location], [200, undefined])
    assert.ok(body.equals(bytes.subarray(0, 90_000)))
  })

  test('404 for a blob that is not there, or not in this repository', async () => {
    const answers = [
      await get({}, computeDigest('sha256', Buffer.from('missing'))),
      await registry.send('GET', `/v2/elsewhere/blobs/${blob}`),
    ]
    for (const answer of answers) {
      assert.deepEqual([answer.status, answer.headers.location], [404, undefined])
      assert.deepEqual(codesOf(answer), ['BLOB_UNKNOWN'])
    }
  })

  test('404 when the bytes are gone', async () => {
    const doomed = await pushBlob(registry, 'far', randomBytes(20_000))
    await registry.driver.remove(await keyOf(doomed))
    const answer = await get({}, doomed)
    assert.deepEqual([answer.status, answer.headers.location, codesOf(answer)], [404, undefined, ['BLOB_UNKNOWN']])
  })

  test('for bytes of another size than the link says', async () => {
    const cut = await pushBlob(registry, 'far', randomBytes(20_000))
    const key = await keyOf(cut)
    await registry.driver.write(key, Buffer.alloc(19_999))
    const answer = await get({}, cut)
    assert.deepEqual([answer.status, answer.headers.location], [500, undefined])
  })

  test('for everything that is no blob', async () => {
    const { digest } = await pushManifest(registry, 'far', 'v1')
    for (const path of ['/v2/', '/v2/far/tags/list', `/v2/far/manifests/${digest}`, '/v2/far/manifests/v1']) {
      assert.equal((await registry.send('GET', path)).status, 200, path)
    }
  })
})

describe('who is sent to the store', () => {
  const loopback: Network = { address: '127.0.0.0', prefix: 8, family: 'ipv4' }
  const inside: Network = { address: '10.0.0.0', prefix: 8, family: 'ipv4' }
  const inside6: Network = { address: 'fd00::', prefix: 8, family: 'ipv6' }

  /** The status of a GET of a blob, from 127.0.0.1. */
  async function ask(
    redirectNetworks: readonly Network[] | undefined,
    headers: Readonly<Record<string, string>> = {},
    options: StartOptions = {},
  ): Promise<number> {
    const adapt: StartOptions['adapt'] = (dependencies) => ({ ...dependencies, redirectNetworks })
    const other = await startRegistry(store.configuration, { ...options, adapt })
    try {
      const digest = await pushBlob(other, 'far', bytes)
      return (await other.send('GET', `/v2/far/blobs/${digest}`, { headers })).status
    } finally {
      await other.close()
    }
  }

  test('everybody, when no network is named; else who is in one', async () => {
    assert.equal(await ask(undefined), 307)
    assert.equal(await ask([]), 307)
    assert.equal(await ask([inside, loopback]), 307)
    assert.equal(await ask([inside, inside6]), 200)
  })

  test('the client that a trusted proxy names, and nobody that another names', async () => {
    const behindProxy = { limits: { trustedProxies: [loopback] } }
    assert.equal(await ask([inside], { 'X-Forwarded-For': '10.1.2.3' }, behindProxy), 307)
    assert.equal(await ask([inside6], { 'X-Forwarded-For': 'fd12::1' }, behindProxy), 307)
    assert.equal(await ask([inside], { 'X-Forwarded-For': '10.1.2.3, 192.0.2.7' }, behindProxy), 200)
    assert.equal(await ask([inside], { 'X-Forwarded-For': '10.1.2.3' }), 200)
  })
})
