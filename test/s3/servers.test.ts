/** The S3 servers and the misbehaving proxy are what the tests of the S3 driver believe them to be. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { describeCall } from './calls.ts'
import { deaf, failNext, type Fault, type Proxy, startProxy } from './proxy.ts'
import { createClient, reasonToSkip, type S3Server, startMoto, startVersitygw } from './servers.ts'

const Bucket = 'test'

async function put(client: S3Client, Key: string, body: string | Buffer, more: object = {}): Promise<void> {
  await client.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.from(body), ...more }))
}

async function get(client: S3Client, Key: string): Promise<string> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
  return (await Body?.transformToString()) ?? ''
}

/** What is stored, or `undefined`. */
async function find(client: S3Client, key: string): Promise<string | undefined> {
  return get(client, key).catch((error: unknown) => {
    if (error instanceof S3ServiceException && error.name === 'NoSuchKey') return undefined
    throw error
  })
}

const refusedWith = (status: number, name: string) => (error: unknown) =>
  error instanceof S3ServiceException && error.$metadata.httpStatusCode === status && error.name === name

/** A connection that ended, and not an answer of S3. */
const isLost = (error: unknown) =>
  error instanceof Error && !(error instanceof S3ServiceException) && /ECONNRESET|aborted|hang up/.test(String(error))

describe('versitygw', { skip: reasonToSkip('versitygw') }, () => {
  it('is the same server with the same data after a kill, and gone after its removal', async () => {
    const server = await startVersitygw()
    const client = createClient(server)
    await server.createBucket(Bucket)
    await put(client, 'a/b', 'kept')
    await server.kill()
    await assert.rejects(get(client, 'a/b'), /ECONNREFUSED/)
    await server.restart()
    assert.equal(await get(client, 'a/b'), 'kept')
    await server.restart()
    assert.equal(await get(client, 'a/b'), 'kept')
    await server.remove()
    await assert.rejects(get(client, 'a/b'), /ECONNREFUSED/)
    client.destroy()
  })

  it('checks signatures', async (t) => {
    const server = await startVersitygw()
    t.after(() => server.remove())
    const client = createClient({ ...server, secretAccessKey: 'other' })
    await assert.rejects(put(client, 'a', 'b'), refusedWith(403, 'SignatureDoesNotMatch'))
    client.destroy()
  })
})

describe('moto', { skip: reasonToSkip('moto') }, () => {
  it('overwrites through a deaf proxy what must be created once, and forgets at a restart', async (t) => {
    const server = await startMoto()
    t.after(() => server.remove())
    const proxy = await startProxy(server.endpoint)
    t.after(() => proxy.close())
    const client = createClient(server, proxy.endpoint)
    t.after(() => client.destroy())
    await server.createBucket(Bucket)
    await put(client, 'a', 'one', { IfNoneMatch: '*' })
    await assert.rejects(put(client, 'a', 'two', { IfNoneMatch: '*' }), refusedWith(412, 'PreconditionFailed'))
    proxy.setScript(deaf)
    await put(client, 'a', 'two', { IfNoneMatch: '*' })
    assert.equal(await get(client, 'a'), 'two')
    assert.equal(proxy.requests.at(-2)?.headers['if-none-match'], '*')
    await server.restart()
    await assert.rejects(get(client, 'a'), refusedWith(404, 'NoSuchBucket'))
  })
})

describe('the proxy', { skip: reasonToSkip('versitygw') }, () => {
  let server: S3Server
  let proxy: Proxy
  /** Through the proxy, and past it. */
  let client: S3Client
  let direct: S3Client
  const calls = () => proxy.requests.map(describeCall)
  before(async () => {
    server = await startVersitygw()
    await server.createBucket(Bucket)
    proxy = await startProxy(server.endpoint)
    client = createClient(server, proxy.endpoint)
    direct = createClient(server)
  })
  after(async () => {
    client.destroy()
    direct.destroy()
    await proxy.close()
    await server.remove()
  })
  beforeEach(() => {
    proxy.setScript(() => undefined)
    proxy.requests.clear()
  })

  /** Sends a request that hangs, and returns when the proxy has got it. */
  async function startHanging(fault: Fault, send: (signal: AbortSignal) => Promise<unknown>) {
    const leaving = new AbortController()
    const outcome = Promise.withResolvers<unknown>()
    await new Promise<void>((resolve) => {
      proxy.setScript(() => {
        resolve()
        return fault
      })
      send(leaving.signal).then(outcome.resolve, outcome.reject)
    })
    return { leave: () => leaving.abort(), outcome: outcome.promise }
  }

  it('passes signed requests and answers on as they are, in both directions and of any length', async () => {
    const large = Buffer.alloc(9_000_000, 'large ')
    await put(client, 'large', large)
    const plain = createClient(server, proxy.endpoint)
    assert.ok(large.equals(Buffer.from(await get(plain, 'large'))))
    const { Contents } = await plain.send(new ListObjectsV2Command({ Bucket, Prefix: 'large' }))
    assert.equal(Contents?.[0]?.Size, large.length)
    const { ContentLength } = await plain.send(new HeadObjectCommand({ Bucket, Key: 'large' }))
    assert.equal(ContentLength, large.length)
    assert.deepEqual(calls(), ['PutObject', 'GetObject', 'ListObjectsV2', 'HeadObject'])
    assert.equal(proxy.requests[0]?.headers['content-length'], String(large.length))
    assert.equal(proxy.requests[0]?.headers.expect, '100-continue')
    plain.destroy()
  })

  it('status: an error of S3, and the server is not asked', async () => {
    proxy.setScript(failNext('PutObject', { kind: 'status', status: 503, code: 'SlowDown' }))
    await assert.rejects(put(client, 'status', 'a'), refusedWith(503, 'SlowDown'))
    assert.equal(await find(direct, 'status'), undefined)
    await put(client, 'status', 'a')
    proxy.setScript(failNext('HeadObject', { kind: 'status', status: 500, code: 'InternalError' }))
    await assert.rejects(
      client.send(new HeadObjectCommand({ Bucket, Key: 'status' })),
      (error) => error instanceof S3ServiceException && error.$metadata.httpStatusCode === 500,
    )
  })

  it('reset before: nothing is stored', async () => {
    proxy.setScript(failNext('PutObject', { kind: 'reset before' }))
    await assert.rejects(put(client, 'reset', 'a'), isLost)
    assert.equal(await find(direct, 'reset'), undefined)
  })

  it('lost answer: it is stored, and the second attempt meets the first', async () => {
    proxy.setScript(failNext('PutObject', { kind: 'lost answer' }))
    await assert.rejects(put(client, 'lost', 'a', { IfNoneMatch: '*' }), isLost)
    assert.equal(await find(direct, 'lost'), 'a')
    await assert.rejects(put(client, 'lost', 'a', { IfNoneMatch: '*' }), refusedWith(412, 'PreconditionFailed'))
  })

  it('cut answer: the head announces all, the body ends early', async () => {
    await put(direct, 'cut', Buffer.alloc(300_000, 'c'))
    for (const bytes of [0, 100_000]) {
      proxy.setScript(failNext('GetObject', { kind: 'cut answer', bytes }))
      const { Body, ContentLength } = await client.send(new GetObjectCommand({ Bucket, Key: 'cut' }))
      assert.equal(ContentLength, 300_000)
      assert.ok(Body !== undefined && 'on' in Body)
      let received = 0
      Body.on('data', (chunk: Buffer) => (received += chunk.length))
      await assert.rejects(new Promise((resolve, reject) => Body.once('end', resolve).once('error', reject)), isLost)
      assert.equal(received, bytes)
    }
  })

  it('cut request: a signed body that is cut is not stored', async () => {
    for (const bytes of [0, 100_000]) {
      proxy.setScript(failNext('PutObject', { kind: 'cut request', bytes }))
      await assert.rejects(put(client, 'half', Buffer.alloc(300_000, 'h')), isLost)
    }
    assert.equal(await find(direct, 'half'), undefined)
  })

  it('cut request: the server gets the head and exactly so many bytes', async (t) => {
    const received: Promise<string>[] = []
    const listener = createServer((socket) => received.push(text(socket))).listen(0, '127.0.0.1')
    t.after(() => listener.close())
    await once(listener, 'listening')
    const address = listener.address()
    assert.ok(address !== null && typeof address === 'object')
    for (const [at, bytes] of [0, 3, 100_000].entries()) {
      const other = await startProxy(`http://127.0.0.1:${address.port}`, () => ({ kind: 'cut request', bytes }))
      const otherClient = createClient(server, other.endpoint)
      await assert.rejects(put(otherClient, 'half', Buffer.alloc(300_000, 'h')), isLost)
      const [head = '', body] = (await received[at])?.split('\r\n\r\n') ?? []
      assert.match(head, /^PUT \/test\/half\?x-id=PutObject HTTP\/1.1\r\n(.+\r\n)*content-length: 300000(\r\n|$)/i)
      assert.ok(head.toLowerCase().includes(`host: ${other.endpoint.slice('http://'.length)}`), head)
      assert.equal(body, 'h'.repeat(bytes))
      otherClient.destroy()
      await other.close()
    }
  })

  it('hang: no answer while the client waits, and the server is not asked', async () => {
    const { leave, outcome } = await startHanging({ kind: 'hang' }, (abortSignal) =>
      client.send(new PutObjectCommand({ Bucket, Key: 'hang', Body: Buffer.from('a') }), { abortSignal }),
    )
    leave()
    await assert.rejects(outcome, { name: 'AbortError' })
    assert.equal(await find(direct, 'hang'), undefined)
  })

  it('hang after: no answer, but the server does it', async () => {
    const { leave, outcome } = await startHanging({ kind: 'hang after' }, (abortSignal) =>
      client.send(new PutObjectCommand({ Bucket, Key: 'after', Body: Buffer.from('a') }), { abortSignal }),
    )
    await eventually(async () => (await find(direct, 'after')) === 'a')
    leave()
    await assert.rejects(outcome, { name: 'AbortError' })
  })

  it('delay: the request arrives late, even when its client has left', async () => {
    const { leave, outcome } = await startHanging({ kind: 'delay', ms: 100 }, (abortSignal) =>
      client.send(new PutObjectCommand({ Bucket, Key: 'late', Body: Buffer.from('late') }), { abortSignal }),
    )
    leave()
    await assert.rejects(outcome, { name: 'AbortError' })
    await put(direct, 'late', 'early')
    await eventually(async () => (await find(direct, 'late')) === 'late')
  })

  it('hang in answer: some bytes and then silence, which ends when the proxy is closed', async () => {
    await put(direct, 'silence', Buffer.alloc(300_000, 's'))
    const other = await startProxy(server.endpoint, () => ({ kind: 'hang in answer', bytes: 1000 }))
    const otherClient = createClient(server, other.endpoint)
    const { Body } = await otherClient.send(new GetObjectCommand({ Bucket, Key: 'silence' }))
    assert.ok(Body !== undefined && 'on' in Body)
    let received = 0
    const ended = new Promise((resolve, reject) => Body.once('end', resolve).once('error', reject))
    const begun = new Promise<void>((resolve) => {
      Body.on('data', (chunk: Buffer) => {
        received += chunk.length
        if (received === 1000) resolve()
      })
    })
    await begun
    await Promise.all([other.close(), assert.rejects(ended, isLost)])
    assert.equal(received, 1000)
    otherClient.destroy()
  })

  it('a server that is killed and started again is met by the next request', async () => {
    await put(client, 'again', 'a')
    await server.kill()
    await assert.rejects(get(client, 'again'), isLost)
    await server.restart()
    assert.equal(await get(client, 'again'), 'a')
  })
})

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await isSo())) {
    if (Date.now() > deadline) assert.fail('not within ten seconds')
    await sleep(10)
  }
}

it('CONTRIBUTING.md names the versions that CI installs', () => {
  const root = join(import.meta.dirname, '../..')
  const tools = readFileSync(join(root, '.ci/tools'), 'utf8')
  const guide = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
  const [, gateway = ''] = /versity\/versitygw\/cmd\/versitygw (v[\d.]+)/.exec(tools) ?? []
  const [, moto = ''] = /moto\[server\]==([\d.]+)/.exec(tools) ?? []
  assert.ok(guide.includes(`versitygw@${gateway}`) && gateway !== '')
  assert.ok(guide.includes(`moto[server]==${moto}`) && moto !== '')
})
