/** The clients of the bench against a server that says what it was asked: a wrong load would be a wrong figure. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { digestOf } from '../../clients/layout.ts'
import { createContent, pieces } from './body.ts'
import { type Connection, openConnection } from './connection.ts'
import { prepare } from './flows.ts'
import { parseWrk } from './wrk-output.ts'

const seen: { method: string; path: string; body: Buffer }[] = []
const server = createServer((request, response) => void answer(request, response))

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '' } = request
  seen.push({ method, path: url, body: await buffer(request) })
  if (url === '/chunked') {
    response.write('a')
    response.end('b')
  } else if (url === '/missing') {
    response.writeHead(404, { 'content-length': 13 }).end('no such thing')
  } else if (url === '/large') {
    response.end(Buffer.alloc(700_000))
  } else {
    const status = method === 'HEAD' ? 404 : method === 'PUT' ? 201 : 202
    response.writeHead(status, { location: `http://${request.headers.host}/next?state=1`, 'content-length': 0 }).end()
  }
}

let connection: Connection

before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const isAddress = (address: AddressInfo | string | null): address is AddressInfo => typeof address === 'object'
  const address = server.address()
  connection = await openConnection(isAddress(address) ? address.port : 0)
})

after(() => {
  connection.close()
  server.close()
})

describe('a connection', () => {
  test('reads answers of every length, one after the other', async () => {
    for (const [method, path, status] of [
      ['GET', '/large', 200],
      ['GET', '/chunked', 200],
      ['HEAD', '/large', 200],
      ['GET', '/missing', 404],
      ['POST', '/', 202],
    ] as const) {
      assert.equal((await connection.exchange({ method, path })).status, status, path)
    }
  })

  test('says what an error says', async () => {
    assert.equal((await connection.exchange({ method: 'GET', path: '/missing' })).text, 'no such thing')
  })
})

describe('bodies', () => {
  for (const size of [1024, 1024 * 1024, 3_000_001]) {
    test(`of ${size} bytes have the digest that they say, and are new each time`, () => {
      const [one, other] = [createContent(size), createContent(size)]
      const bytes = Buffer.concat([...pieces(one)])
      assert.equal(bytes.length, size)
      assert.equal(digestOf(bytes), one.digest)
      assert.notEqual(one.digest, other.digest)
    })
  }
})

describe('flows', () => {
  const run = async (flow: Parameters<typeof prepare>[0]) => {
    seen.length = 0
    await prepare(flow, connection)()
    return seen.map(({ method, path }) => `${method} ${path.replace(/sha256:\w+|\b\w{16}\b/g, '…')}`)
  }

  test('a push is POST and PUT of the whole body', async () => {
    const asked = await run({ kind: 'push', style: 'put', bytes: 100_000 })
    assert.deepEqual(asked, ['POST /v2/bench/pushed/blobs/uploads/', 'PUT /next?state=1&digest=…'])
    assert.ok(seen[1]?.path.endsWith(digestOf(seen[1].body)))
  })

  test('or POST, PATCH of the body, PUT', async () => {
    const asked = await run({ kind: 'push', style: 'patch', bytes: 1024 })
    assert.deepEqual(asked, [
      'POST /v2/bench/pushed/blobs/uploads/',
      'PATCH /next?state=1',
      'PUT /next?state=1&digest=…',
    ])
    assert.deepEqual(
      seen.map(({ body }) => body.length),
      [0, 1024, 0],
    )
  })

  test('an image is its blobs and then its manifest', async () => {
    const asked = await run({ kind: 'image', configBytes: 64, layerBytes: [100] })
    assert.equal(asked.length, 9)
    assert.equal(asked[0], 'HEAD /v2/bench/images/blobs/…')
    assert.match(asked[8] ?? '', /^PUT \/v2\/bench\/images\/manifests\/t/)
  })

  test('an answer that is not wanted ends the run', async () => {
    const flow = { kind: 'request', method: 'GET', path: '/missing', headers: {}, status: 200 } as const
    await assert.rejects(prepare(flow, connection)(), /GET \/missing: 404 instead of 200: no such thing/)
  })
})

describe('the output of wrk', () => {
  const output = (more: string) =>
    `  Latency Distribution\n     50%  136.00us\n     99%    1.50ms\n  100174 requests in 401.55ms, 15.86MB read\n${more}`

  test('is read with its units', () => {
    assert.deepEqual(parseWrk(output('')), { count: 100_174, seconds: 0.401_55, p99Ms: 1.5 })
  })

  test('is refused when an answer was an error', () => {
    assert.throws(() => parseWrk(output('  Non-2xx or 3xx responses: 7')), /wrk/)
  })
})
