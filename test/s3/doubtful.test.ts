/** Stores behind something else: what repeats requests, what wants to be told the name, what the SDK was told to go to. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { afterEach, describe, it } from 'node:test'
import { createSecureContext } from 'node:tls'
import type { Driver } from '../../src/storage/driver.ts'
import { createCertificate } from './certificate.ts'
import { openS3 } from './open.ts'
import type { S3Server } from './servers.ts'

const emptyList = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'

describe('behind something else', () => {
  let server: Server
  let driver: Driver | undefined
  afterEach(async () => {
    await driver?.close()
    driver = undefined
    server.closeAllConnections()
    server.close()
  })

  async function listen(scheme: 'http' | 'https'): Promise<S3Server> {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const none = async (): Promise<void> => undefined
    return {
      endpoint: `${scheme}://localhost:${port}`,
      region: 'us-east-1',
      accessKeyId: 'a',
      secretAccessKey: 'b',
      createBucket: none,
      kill: none,
      restart: none,
      remove: none,
    }
  }

  /** Answers a list of nothing; everything else is for `answer`. */
  const store =
    (answer: RequestListener): RequestListener =>
    (request, response) => {
      response.setHeader('ETag', '"e"').setHeader('Last-Modified', 'Mon, 30 Nov 2026 10:45:07 GMT')
      request.resume().once('end', () => {
        if (request.url?.includes('list-type') === true)
          response.setHeader('Content-Type', 'application/xml').end(emptyList)
        else answer(request, response)
      })
    }

  it('the first answer to a write may be the refusal of its own repetition', async () => {
    const writers = new Map<string, string>()
    server = createServer(
      store(({ method, url = '', headers }, response) => {
        const [path = ''] = url.split('?')
        if (method !== 'PUT') {
          response
            .setHeader('x-amz-meta-writer', writers.get(path) ?? '')
            .setHeader('Content-Length', '1')
            .end()
          return
        }
        if (!writers.has(path)) writers.set(path, String(headers['x-amz-meta-writer']))
        response
          .writeHead(412, { 'Content-Type': 'application/xml' })
          .end('<Error><Code>PreconditionFailed</Code></Error>')
      }),
    )
    driver = await openS3(await listen('http'), 'bucket')
    assert.equal(await driver.write('data/a', Buffer.from('x'), { ifAbsent: true }), 'written')
    assert.equal(await driver.write('data/a', Buffer.from('y'), { ifAbsent: true }), 'exists')
  })

  it('every connection says the name of the store, also those for large bodies', async () => {
    const good = createCertificate()
    const other = createCertificate({ host: 'ingress.example' })
    const options = {
      ...other,
      SNICallback: (_: string, done: (error: null, context: ReturnType<typeof createSecureContext>) => void) =>
        done(null, createSecureContext(good)),
    }
    const listener = store(({ headers }, response) => {
      if (headers.range !== undefined)
        response.writeHead(206, { 'Content-Range': 'bytes 0-4/5', 'Content-Length': '5' })
      response.end('small')
    })
    server = createTlsServer(options, listener)
    driver = await openS3(await listen('https'), 'bucket', { certificates: good.cert })
    assert.equal((await driver.read('data/a'))?.bytes.toString(), 'small')
    const opened = await driver.open('data/a', { start: 0, end: 5 })
    assert.equal(opened?.size, 5)
    await opened?.close()
  })

  it('a store that the SDK was told of by its environment is none of AWS: bodies are signed, and no DELETE is relied on', async (t) => {
    const hashes: (string | undefined)[] = []
    server = createServer(
      store(({ method, headers }, response) => {
        if (method === 'PUT') hashes.push(String(headers['x-amz-content-sha256']))
        response.end()
      }),
    )
    const there = await listen('http')
    const warnings: string[] = []
    // Each of the SDK's clients reads it when it is used first.
    process.env['AWS_ENDPOINT_URL_S3'] = there.endpoint
    t.after(() => delete process.env['AWS_ENDPOINT_URL_S3'])
    const warn = (text: string): void => void warnings.push(text)
    driver = await openS3(there, 'bucket', { endpoint: undefined, pathStyle: 'on', warn })
    assert.equal(driver.removal, 'looks first')
    assert.ok(warnings.some((text) => text.includes(there.endpoint)))
    const writer = await driver.writeStream('data/a')
    await writer.write(Buffer.from('x'))
    await writer.seal()
    assert.match(hashes.join(), /^[0-9a-f]{64}$/)
  })

  it('large bodies that come in an unusual way, and are read slowly, hold up no small ones', async () => {
    server = createServer(
      store(({ headers }, response) => {
        if (headers.range === undefined) response.end('small')
        // Chunked: without a length, and its end does not come.
        else response.writeHead(206, { 'Content-Range': 'bytes 0-4/5' }).write('lar')
      }),
    )
    driver = await openS3(await listen('http'), 'bucket', { maxConnections: 1 })
    const slow = [await driver.open('data/a', { start: 0, end: 5 }), await driver.open('data/a', { start: 0, end: 5 })]
    const signal = AbortSignal.timeout(5000)
    assert.equal((await driver.read('data/b', { signal }))?.bytes.toString(), 'small')
    for (const each of slow) await each?.close()
  })
})
