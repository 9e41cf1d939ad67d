/** What stands in front of a store, or is not a store at all, answers too: none of that is a value, an absence or a success. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { isAbsent, isPutOff, isTransient, S3Error, toS3Error, translateError } from '../../src/storage/s3/errors.ts'
import { openS3 } from './open.ts'
import { copied, isUnavailable } from './scene.ts'

type Answer = (response: ServerResponse) => void

const emptyList = '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
const page = '<html><body>Something else</body></html>'
const inError = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>m</Message></Error>'
const cutList =
  '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>data/a</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents><Contents>'

/** Without a length: a list that ends early ends as if it were whole. */
function endWithoutLength(response: ServerResponse, body: string): void {
  response.socket?.end(`HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\n\r\n${body}`)
}

const answers: Record<string, Answer> = {
  'a page with 200': (response) => response.writeHead(200, { 'content-type': 'text/html' }).end(page),
  'nothing with 200': (response) => response.writeHead(200).end(),
  'an error with 200': (response) => response.writeHead(200).end(inError),
  'a list that ends early': (response) => endWithoutLength(response, cutList),
  'a page with 404': (response) =>
    response.writeHead(404, { 'content-type': 'text/plain' }).end('default backend - 404'),
  'nothing with 404': (response) => response.writeHead(404).end(),
  'a page with 403': (response) => response.writeHead(403).end(page),
  'a page with 502': (response) => response.writeHead(502).end(page),
  'a page with 503': (response) => response.writeHead(503).end(page),
  'nothing with 503': (response) => response.writeHead(503).end(),
  'a redirection': (response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
  'JSON with 500': (response) => response.writeHead(500).end('{"error":"no"}'),
  'the end of the connection': (response) => void response.socket?.resetAndDestroy(),
}

describe('answers that are not those of a store', () => {
  let answer: Answer = (response) => response.end(emptyList)
  let copies = 0
  const server = createServer((request, response) => {
    if (request.headers['x-amz-copy-source'] !== undefined) copies++
    request.resume()
    request.once('end', () => answer(response))
  })
  let driver: Driver
  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    assert.ok(address !== null && typeof address === 'object')
    const endpoint = `http://127.0.0.1:${address.port}`
    const place = { endpoint, region: 'us-east-1', accessKeyId: 'a', secretAccessKey: 'b' } as const
    const unused = (): never => assert.fail('nobody asks for it')
    const fake = { ...place, createBucket: unused, kill: unused, restart: unused, remove: unused }
    driver = await openS3(fake, 'bucket', { maxAttempts: 2, elapsed: createSteps() })
  })
  after(async () => {
    await driver.close()
    server.closeAllConnections()
    server.close()
  })

  it('another range than was asked is none; all is, where all was asked', async () => {
    const head = { etag: '"e"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' }
    const send = (status: number, bytes: string, more: Record<string, string>): Answer => {
      return (response) => response.writeHead(status, { ...head, ...more, 'content-length': bytes.length }).end(bytes)
    }
    const wrong: readonly Answer[] = [
      send(200, '0123456789', {}),
      send(206, '0123', { 'content-range': 'bytes 0-3/10' }),
      send(206, '234', { 'content-range': 'bytes 2-4/10' }),
      send(206, '23456', { 'content-range': 'bytes 2-6/10' }),
      send(206, '2345', { 'content-range': 'bytes 2-5/*' }),
      send(206, '2345', {}),
    ]
    for (const each of wrong) {
      answer = each
      await assert.rejects(driver.open('data/a/b', { start: 2, end: 6 }), isUnavailable)
    }
    answer = send(206, '2345', { 'content-range': 'bytes 2-5/10' })
    assert.equal((await copied(await driver.open('data/a/b', { start: 2, end: 6 }))).toString(), '2345')
    answer = send(200, '0123456789', {})
    assert.equal((await copied(await driver.open('data/a/b', { start: 0, end: 10 }))).toString(), '0123456789')
  })

  const operations: Record<string, () => Promise<unknown>> = {
    read: () => driver.read('data/a/b'),
    stat: () => driver.stat('data/a/b'),
    open: () => driver.open('data/a/b', { start: 0, end: 5 }),
    'open of nothing': () => driver.open('data/a/b', { start: 0, end: 0 }),
    write: () => driver.write('data/a/b', Buffer.from('x')),
    'write if absent': () => driver.write('data/a/b', Buffer.from('x'), { ifAbsent: true }),
    promote: () => driver.promote('pushes/p/a', 'tags/r/t'),
    remove: () => driver.remove('data/a/b'),
    'remove if unchanged': () => driver.remove('tags/r/t', { ifUnchanged: 'x' }),
    list: () => driver.list('data/', { limit: 10 }),
    tidy: () => driver.tidy(),
    'a small body': async () => {
      await (await driver.writeStream('data/a/b')).seal()
    },
    'a large body': async () => {
      const writer = await driver.writeStream('data/a/b')
      await writer.write(Buffer.alloc(6 * 1024 * 1024))
      await writer.seal()
    },
  }
  for (const [what, strange] of Object.entries(answers)) {
    it(`${what}: every operation says that the store is not available`, async () => {
      answer = strange
      for (const [name, operation] of Object.entries(operations)) {
        copies = 0
        await assert.rejects(operation, isUnavailable, name)
        assert.ok(copies <= 1, 'a copy is sent once')
      }
    })
  }
})

/** A clock on which two looks are never near each other: nothing is trusted because of the last answer. */
function createSteps(): () => number {
  let now = 0
  return () => (now += 10_000)
}

describe('errors', () => {
  const table: readonly (readonly [number | undefined, string, string])[] = [
    [404, 'NoSuchKey', 'absent'],
    [404, 'NoSuchUpload', 'absent'],
    [404, 'NotFound', ''],
    [404, 'NoSuchBucket', ''],
    [404, 'UnknownError', ''],
    [403, 'AccessDenied', ''],
    [403, 'RequestTimeTooSkewed', 'again'],
    [400, 'InvalidRequest', ''],
    [400, 'RequestTimeout', 'again'],
    [400, 'IncompleteBody', 'again'],
    [408, 'UnknownError', 'again'],
    [409, 'ConditionalRequestConflict', 'again, nothing done'],
    [409, 'OperationAborted', 'again, nothing done'],
    [409, 'UnknownError', 'again'],
    [409, 'ExistingObjectIsDirectory', 'again, nothing done'],
    [412, 'PreconditionFailed', ''],
    [429, 'UnknownError', 'again, nothing done'],
    [500, 'InternalError', 'again'],
    [501, 'NotImplemented', ''],
    [502, 'UnknownError', 'again'],
    [503, 'SlowDown', 'again, nothing done'],
    [503, 'ServiceUnavailable', 'again, nothing done'],
    [503, 'InternalError', 'again'],
    [503, 'UnknownError', 'again'],
    [507, 'XMinioStorageFull', ''],
    [undefined, 'ECONNRESET', 'again'],
    [undefined, 'TimeoutError', 'again'],
    [undefined, 'ECONNREFUSED', 'again, nothing done'],
    [undefined, 'ENOTFOUND', 'again, nothing done'],
    [undefined, 'CERT_HAS_EXPIRED', ''],
  ]
  it('are absence, or passing, or sure to have done nothing, or none of these', () => {
    for (const [status, code, expected] of table) {
      const error = new S3Error(code, status, '')
      const words = [
        ...(isAbsent(error) ? ['absent'] : []),
        ...(isTransient(error) ? ['again'] : []),
        ...(isPutOff(error) ? ['nothing done'] : []),
      ]
      assert.equal(words.join(', '), expected, `${status} ${code}`)
    }
  })

  it('become what the driver throws; a bug stays one', () => {
    const reasonOf = (status: number, code: string): string => {
      const error = translateError('reading x', new S3Error(code, status, 'said'))
      return error instanceof StorageError ? error.reason : error instanceof Error ? error.name : ''
    }
    assert.equal(reasonOf(403, 'AccessDenied'), 'unavailable')
    assert.equal(reasonOf(404, 'NoSuchBucket'), 'unavailable')
    assert.equal(reasonOf(404, 'NoSuchUpload'), 'unavailable')
    assert.equal(reasonOf(400, 'InvalidRequest'), 'unavailable')
    assert.equal(reasonOf(409, 'ObjectParentIsFile'), 'Error')
    assert.equal(reasonOf(400, 'EntityTooLarge'), 'too large')
    assert.equal(reasonOf(507, 'InsufficientStorage'), 'full')
    assert.equal(reasonOf(403, 'QuotaExceeded'), 'full')
    const bug = new TypeError('bug')
    assert.equal(translateError('reading x', bug), bug)
  })

  it('say that an answer broke off, which may go well the next time, when it began well', () => {
    const broken = Object.assign(new Error('missing closing tag'), { $metadata: { httpStatusCode: 200 } })
    const error = toS3Error(broken)
    assert.deepEqual(
      [error.code, error.status, isTransient(error), isPutOff(error)],
      ['MalformedAnswer', undefined, true, false],
    )
  })

  it('have the code of the network, however deep it lies', () => {
    const inner = Object.assign(new Error('connect ECONNREFUSED ::1:1'), { code: 'ECONNREFUSED' })
    assert.equal(toS3Error(new AggregateError([inner])).code, 'ECONNREFUSED')
    assert.equal(toS3Error(new Error('general', { cause: inner })).code, 'ECONNREFUSED')
    assert.equal(toS3Error('text').code, 'Unknown')
  })
})
