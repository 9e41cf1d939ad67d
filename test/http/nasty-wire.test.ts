/**
 * Bytes that are not, or hardly, HTTP, over a bare socket; bodies that lie, stop or never end. Each gets a whole answer with error JSON (or the
 * connection ends, where nobody could read one), changes nothing, and leaves a server that answers at once.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import { ociManifest } from '../../src/oci/media-types.ts'
import {
  type LogLine,
  memory,
  parseJson,
  pushManifest,
  sendRaw,
  startRegistry,
  type TestRegistry,
  until,
} from './harness.ts'

interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly codes: readonly string[]
}

/** Cuts what came back into answers; fails when one is not whole. */
function readAnswers(text: string): readonly RawAnswer[] {
  const answers: RawAnswer[] = []
  for (let rest = text; rest !== '';) {
    const headEnd = rest.indexOf('\r\n\r\n')
    assert.match(rest, /^HTTP\/1\.1 \d{3} /, JSON.stringify(rest.slice(0, 200)))
    const head = rest.slice(0, headEnd)
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
    const body = rest.slice(headEnd + 4, headEnd + 4 + length)
    assert.equal(body.length, length, 'the answer is cut')
    const status = Number(head.slice(9, 12))
    answers.push({ status, head, codes: status < 400 ? [] : readCodes(head, body) })
    rest = rest.slice(headEnd + 4 + length)
  }
  return answers
}

function readCodes(head: string, body: string): readonly string[] {
  assert.match(head, /^content-type: application\/json$/im, head)
  const { errors } = Object(parseJson(Buffer.from(body, 'latin1')))
  assert.ok(Array.isArray(errors) && errors.length > 0, body)
  return errors.map((error: unknown) => String(Object(error).code))
}

const manifestPut = (headers: string): string =>
  `PUT /v2/wire/manifests/v2 HTTP/1.1\r\nHost: h\r\nContent-Type: ${ociManifest}\r\n${headers}\r\n`
const chunked = 'Transfer-Encoding: chunked\r\n'
const get = (headers: string, target = '/v2/'): string =>
  `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${headers}\r\n`

const clientHello = Buffer.concat([
  Buffer.from('16030100c8010000c40303', 'hex'),
  Buffer.alloc(32, 0xa5),
  Buffer.from('20', 'hex'),
  Buffer.alloc(160, 0x5a),
])

/** What is sent, and the status and code of the last answer. */
const rows: Readonly<Record<string, readonly [bytes: string | Buffer, status: number, code?: string]>> = {
  'a TLS ClientHello on the plain port': [clientHello, 400, 'REQUEST_INVALID'],
  'an SSLv2 hello': [Buffer.from('802e0103010015000000100700c0030080', 'hex'), 400, 'REQUEST_INVALID'],
  NULs: [Buffer.alloc(100), 400, 'REQUEST_INVALID'],
  'a NUL in the path': ['GET /v2/\0/tags/list HTTP/1.1\r\nHost: h\r\n\r\n', 400, 'REQUEST_INVALID'],
  'a NUL in a header': [get('X-A: a\0b\r\n'), 400, 'REQUEST_INVALID'],
  noise: ['hello\r\n\r\n', 400, 'REQUEST_INVALID'],
  'an SSH banner': ['SSH-2.0-OpenSSH_9.2\r\n', 400, 'REQUEST_INVALID'],
  'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'REQUEST_INVALID'],
  'HTTP/0.9': ['GET /v2/\r\n', 408, 'REQUEST_TIMEOUT'],
  'HTTP/9.9': ['GET /v2/ HTTP/9.9\r\nHost: h\r\n\r\n', 400, 'REQUEST_INVALID'],
  'a method nobody has': ['FROBNICATE /v2/ HTTP/1.1\r\nHost: h\r\n\r\n', 400, 'REQUEST_INVALID'],
  'two Hosts': ['GET /v2/ HTTP/1.1\r\nHost: h\r\nHost: i\r\nConnection: close\r\n\r\n', 400, 'REQUEST_INVALID'],
  'a Host that is none': ['GET /v2/ HTTP/1.1\r\nHost: a b/c@\r\nConnection: close\r\n\r\n', 400, 'REQUEST_INVALID'],
  'a coding that nobody asked for': [
    `${manifestPut('Transfer-Encoding: gzip, chunked\r\nConnection: close\r\n')}0\r\n\r\n`,
    400,
    'REQUEST_INVALID',
  ],
  'no Host': ['GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'REQUEST_INVALID'],
  'a space in the path': [get('', '/v2/a b/tags/list'), 400, 'REQUEST_INVALID'],
  'a space before the colon': [get('X-A : b\r\n'), 400, 'REQUEST_INVALID'],
  'a header without a colon': [get('nonsense\r\n'), 400, 'REQUEST_INVALID'],
  'a folded header': [get('X-A: b\r\n\r\n c\r\n').replace('b\r\n\r\n', 'b\r\n'), 400, 'REQUEST_INVALID'],
  'a bare CR': [get('X-A: b\rX-B: c\r\n'), 400, 'REQUEST_INVALID'],
  'headers too large': [get(`X-A: ${'a'.repeat(200_000)}\r\n`), 431, 'REQUEST_INVALID'],
  'a path too large': [get('', `/v2/${'a'.repeat(200_000)}/tags/list`), 431, 'REQUEST_INVALID'],
  CONNECT: ['CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n', 405, 'UNSUPPORTED'],
  'an asterisk': ['OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n', 400, 'REQUEST_INVALID'],
  'an absolute URI of another scheme': [get('', 'ftp://h/v2/'), 400, 'REQUEST_INVALID'],
  'an absolute URI of another path': [get('', 'http://evil.example/nothing?/v2/'), 404, 'NOT_FOUND'],
  'an absolute URI that no parser reads': [get('', 'http://[::1/v2/%zz/tags/list'), 400, 'NAME_INVALID'],
  'an unfinished chunk size': [`${manifestPut(chunked)}zz\r\nabc\r\n0\r\n\r\n`, 400, 'REQUEST_INVALID'],
  'a negative chunk size': [`${manifestPut(chunked)}-3\r\nabc\r\n0\r\n\r\n`, 400, 'REQUEST_INVALID'],
  'a chunk size that overflows': [
    `${manifestPut(chunked)}fffffffffffffffff\r\nabc\r\n0\r\n\r\n`,
    400,
    'REQUEST_INVALID',
  ],
  'a chunk longer than its size': [`${manifestPut(chunked)}3\r\nabcdef\r\n0\r\n\r\n`, 400, 'REQUEST_INVALID'],
  'a chunk extension that never ends': [
    `${manifestPut(chunked)}3;${'a'.repeat(100_000)}\r\nabc\r\n0\r\n\r\n`,
    413,
    'TOO_LARGE',
  ],
  'smuggling: Content-Length and Transfer-Encoding': [
    `${manifestPut(`Content-Length: 3\r\n${chunked}`)}0\r\n\r\n`,
    400,
    'REQUEST_INVALID',
  ],
  'smuggling: Transfer-Encoding and Content-Length': [
    `${manifestPut(`${chunked}Content-Length: 3\r\n`)}0\r\n\r\n`,
    400,
    'REQUEST_INVALID',
  ],
  'smuggling: two Content-Lengths': [
    `${manifestPut('Content-Length: 3\r\nContent-Length: 4\r\n')}abcd`,
    400,
    'REQUEST_INVALID',
  ],
  'smuggling: chunked is not last': [
    `${manifestPut('Transfer-Encoding: chunked, identity\r\n')}0\r\n\r\n`,
    400,
    'REQUEST_INVALID',
  ],
  'smuggling: an odd Transfer-Encoding': [
    `${manifestPut('Transfer-Encoding: xchunked\r\n')}0\r\n\r\n`,
    400,
    'REQUEST_INVALID',
  ],
  'a negative Content-Length': [manifestPut('Content-Length: -1\r\n'), 400, 'REQUEST_INVALID'],
  'a Content-Length in hex': [manifestPut('Content-Length: 0x10\r\n'), 400, 'REQUEST_INVALID'],
  'a Content-Length that overflows': [
    manifestPut('Content-Length: 99999999999999999999999\r\n'),
    400,
    'REQUEST_INVALID',
  ],
  'a Content-Length beyond any store': [manifestPut('Content-Length: 9999999999999999999\r\n'), 413, 'TOO_LARGE'],
  'a Content-Length shorter than the body': [
    `${manifestPut('Content-Length: 2\r\n')}{}{"schemaVersion":2}`,
    400,
    'REQUEST_INVALID',
  ],
  'a body that stops': [`${manifestPut('Content-Length: 10\r\n')}{`, 408, 'REQUEST_TIMEOUT'],
  'a chunked body that stops': [`${manifestPut(chunked)}5\r\nab`, 408, 'REQUEST_TIMEOUT'],
  'headers that stop': ['GET /v2/ HTTP/1.1\r\nHost: h\r\nX-A: ', 408, 'REQUEST_TIMEOUT'],
  'a refusal to a client that waits for 100 Continue': [
    manifestPut('Expect: 100-continue\r\nContent-Length: 99999999\r\n'),
    413,
    'TOO_LARGE',
  ],
}

const fine: Readonly<Record<string, string>> = {
  'an absolute URI': get('', 'http://registry.example:5000/v2/'),
  'an absolute URI without a path': get('', 'http://registry.example').replace('example', 'example/v2'),
  'an unknown expectation': get('Expect: a-pony\r\n'),
  'an upgrade that is not wanted': get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n'),
  'a fragment': get('', '/v2/#/../nothing'),
  'HTTP/1.0': 'GET /v2/ HTTP/1.0\r\n\r\n',
  'a query of nonsense': get('', '/v2/?%zz&&&=&n=%00'),
  'the path without its slash': get('', '/v2'),
}

/** The bytes of a body that arrive before the connection ends. */
const cutBytes = 4

describe('bytes on the wire', () => {
  let registry: TestRegistry
  let contents: readonly string[] = []
  before(async () => {
    registry = await startRegistry(memory, {
      // So many bytes that they take several turns of the event loop, which the client shares: in one of them it reads the answer, before the reset that
      // a client which never stops sending gets in the end makes its next write fail, and its socket forget what it has not read.
      limits: { bodyIdleTimeoutMs: 600, lingerMs: 150, headersTimeoutMs: 300, lingerBytes: 16 * 1024 * 1024 },
    })
    await pushManifest(registry, 'wire', 'v1')
    contents = await registry.contents()
  })
  after(() => registry.close())

  async function checkUnharmed(): Promise<void> {
    assert.deepEqual(await registry.contents(), contents, 'the store has changed')
    assert.deepEqual(registry.faults, [])
    const start = performance.now()
    assert.equal((await registry.send('GET', '/v2/')).status, 200)
    assert.ok(performance.now() - start < 1000)
  }

  for (const [name, [bytes, status, code]] of Object.entries(rows)) {
    test(`${name} → ${status} ${code}`, async () => {
      const last = readAnswers(await sendRaw(registry.port, bytes)).at(-1)
      assert.equal(last?.status, status)
      assert.deepEqual(last.codes, [code])
      assert.match(last.head, /^connection: close$/im)
      await checkUnharmed()
    })
  }

  for (const [name, bytes] of Object.entries(fine)) {
    test(`${name} is served`, async () => {
      const [answer] = readAnswers(await sendRaw(registry.port, bytes, 300))
      assert.equal(answer?.status, 200)
      await checkUnharmed()
    })
  }

  test('requests one behind the other on one connection are answered in order', async () => {
    const answers = readAnswers(
      await sendRaw(
        registry.port,
        (get('') + get('', '/nothing')).replaceAll('Connection: close\r\n', '') + get(''),
        300,
      ),
    )
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 404, 200],
    )
  })

  test('garbage behind a request does not hurt its answer', async () => {
    const answers = readAnswers(await sendRaw(registry.port, `${get('').replace('Connection: close\r\n', '')}\0\0\0\0`))
    assert.equal(answers.at(-1)?.status, 400)
  })

  for (const [name, head, status] of [
    ['a manifest', manifestPut(chunked), 413],
    ['a GET', get(chunked), 200],
    ['an unknown path', get(chunked, '/nothing'), 404],
    ['an upload of another repository', `PATCH /v2/wire/blobs/uploads/x HTTP/1.1\r\nHost: h\r\n${chunked}\r\n`, 404],
  ] as const) {
    test(`a body that never ends, of ${name}: ${status}, and the client can read it`, async () => {
      const socket = connect(registry.port, '127.0.0.1')
      const received: Buffer[] = []
      let open = true
      const closed = new Promise<void>((resolve) => {
        socket.once('close', () => {
          open = false
          resolve()
        })
      })
      socket.on('data', (data: Buffer) => received.push(data)).on('error', () => undefined)
      socket.write(head)
      const piece = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, 0x20), Buffer.from('\r\n')])
      const pump = (): void => {
        if (!open) return
        if (socket.write(piece)) setImmediate(pump)
        else socket.once('drain', pump)
      }
      pump()
      await closed
      const [answer] = readAnswers(Buffer.concat(received).toString('latin1'))
      assert.equal(answer?.status, status)
      await checkUnharmed()
    })
  }

  /** Sends a request that is cut, ends the connection as told, and gives back its line of the log. */
  async function sendCut(request: string, how: 'end' | 'resetAndDestroy'): Promise<LogLine> {
    const { length } = registry.log
    const socket = connect(registry.port, '127.0.0.1').on('error', () => undefined)
    socket.resume().write(request)
    // Requests of others are answered in between: then the server has read what we sent.
    for (let i = 0; i < 3; i++) await registry.send('GET', '/v2/')
    socket[how]()
    const isOurs = (line: LogLine): boolean => line['method'] !== 'GET'
    await until(() => registry.log.slice(length).some(isOurs))
    return registry.log.slice(length).find(isOurs) ?? assert.fail()
  }

  for (const how of ['end', 'resetAndDestroy'] as const) {
    test(`a Content-Length longer than the body, connection gone by ${how}: nothing is kept of a manifest or of a PUT`, async () => {
      const digest = computeDigest('sha256', Buffer.from('{}{}'))
      for (const request of [
        `${manifestPut('Content-Length: 5\r\n')}{}{}`,
        `POST /v2/wire/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n{}{}`,
      ]) {
        const line = await sendCut(request, how)
        assert.equal(line['status'], how === 'end' ? 400 : 499)
        assert.equal(line['aborted'], how === 'end' ? undefined : true)
        assert.equal(line['bytesIn'], cutBytes)
      }
      assert.equal((await registry.send('HEAD', '/v2/wire/manifests/v2')).status, 404)
      assert.equal((await registry.send('HEAD', `/v2/wire/blobs/${digest}`)).status, 404)
      await until(async () => (await registry.contents()).length === contents.length)
      await checkUnharmed()
    })

    test(`a Content-Length longer than the chunk, connection gone by ${how}: what came is kept, and the upload goes on`, async () => {
      const { headers } = await registry.send('POST', '/v2/wire/blobs/uploads/')
      const url = headers.location ?? ''
      await sendCut(`PATCH ${url} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n{}{}`, how)
      await until(async () => (await registry.send('GET', url)).headers.range === '0-3')
      const digest = computeDigest('sha256', Buffer.from('{}{}!'))
      const options = { headers: { 'Content-Range': '4-4' }, body: '!' }
      assert.equal((await registry.send('PUT', `${url}?digest=${digest}`, options)).status, 201)
      await registry.send('DELETE', `/v2/wire/blobs/${digest}`)
      contents = await registry.contents()
      assert.deepEqual(registry.faults, [])
    })
  }

  test('what the parser refuses has a line in the log, too', () => {
    const line = registry.log.find((each) => each['reason'] === 'HPE_INVALID_METHOD' && each['route'] !== 'tls')
    assert.equal(line?.['route'], 'malformed')
    assert.equal(line['status'], 400)
    assert.equal(line['address'], '127.0.0.1')
    assert.equal(line['level'], 'info')
  })

  test('a client that tries TLS first is told so, and is no more than a note in the log', async () => {
    const { length } = registry.log
    assert.match(await sendRaw(registry.port, clientHello), /this port speaks HTTP, not TLS/)
    const [line] = registry.log.slice(length)
    assert.deepEqual([line?.['route'], line?.['level'], line?.['status']], ['tls', 'debug', 400])
    assert.equal(registry.samples.at(-1)?.route, 'tls')
  })
})
