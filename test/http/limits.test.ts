/** Crowds and slow clients, over real sockets: what is beyond a limit is refused with words, and whoever is within it is served. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ociManifest } from '../../src/oci/media-types.ts'
import {
  codesOf,
  configurations,
  filesystem,
  type Limits,
  memory,
  pushBlob,
  sendRaw,
  startRegistry,
  type TestRegistry,
  until,
} from './harness.ts'

async function withRegistry(limits: Partial<Limits>, work: (registry: TestRegistry) => Promise<void>): Promise<void> {
  const registry = await startRegistry(memory, { limits })
  try {
    await work(registry)
  } finally {
    await registry.close()
  }
}

/** `stubborn`: it does not close its side when the server does. */
async function open(port: number, how?: 'stubborn'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: how === 'stubborn' }).on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** What a socket says from now on until it closes. */
async function readToEnd(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('latin1')
}

const get = 'GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n'

describe('connections', () => {
  test('one too many is told so at once and closed, asked or not; the next may come when one has gone', async () => {
    await withRegistry({ maxConnections: 3, lingerMs: 50 }, async (registry) => {
      const sockets = await Promise.all([open(registry.port), open(registry.port), open(registry.port)])
      const refused = await sendRaw(registry.port, '')
      assert.match(refused, /^HTTP\/1\.1 503 Service Unavailable\r\n/)
      assert.match(refused, /\r\nRetry-After: 5\r\n/)
      assert.match(refused, /\r\nConnection: close\r\n/)
      assert.match(refused, /\{"errors":\[\{"code":"UNAVAILABLE"/)
      const asked = await registry.send('GET', '/v2/')
      assert.equal(asked.status, 503)
      assert.deepEqual(codesOf(asked), ['UNAVAILABLE'])
      assert.deepEqual([registry.log[0]?.['route'], registry.log[0]?.['status']], ['refused', 503])
      sockets[0]?.end()
      await until(async () => (await registry.send('GET', '/v2/')).status === 200)
      for (const socket of sockets) socket.destroy()
    })
  })

  test('a flood of them is not kept: beyond those that are told why, they are closed without a word', async () => {
    await withRegistry({ maxConnections: 1, lingerMs: 2000 }, async (registry) => {
      const first = await open(registry.port)
      const flood = await Promise.all(Array.from({ length: 300 }, () => open(registry.port, 'stubborn')))
      const answers = await Promise.all(flood.map(readToEnd))
      assert.equal(answers.filter((answer) => answer.startsWith('HTTP/1.1 503')).length, 100)
      assert.equal(answers.filter((answer) => answer === '').length, 200)
      for (const socket of [first, ...flood]) socket.destroy()
    })
  })

  test('500 that are silent hold nobody up, and end after the time for headers', async () => {
    await withRegistry({ headersTimeoutMs: 1000, lingerMs: 50 }, async (registry) => {
      const sockets = await Promise.all(Array.from({ length: 500 }, () => open(registry.port)))
      const ended = Promise.all(sockets.map(readToEnd))
      const start = performance.now()
      assert.equal((await registry.send('GET', '/v2/')).status, 200)
      assert.ok(performance.now() - start < 500)
      for (const answer of await ended) assert.match(answer, /^(HTTP\/1\.1 408 |$)/)
    })
  })

  test('500 that have asked once are served again, and end when they stay idle', async () => {
    await withRegistry({ keepAliveTimeoutMs: 1000 }, async (registry) => {
      const sockets = await Promise.all(Array.from({ length: 500 }, () => open(registry.port)))
      for (const socket of sockets) socket.write(get)
      await Promise.all(sockets.map((socket) => once(socket, 'data')))
      for (const socket of sockets) socket.write(get)
      for (const answer of await Promise.all(sockets.map(readToEnd))) assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
      assert.equal(registry.samples.length, 1000)
    })
  })

  test('headers that come byte by byte are ended by the time for headers, however steadily they come', async () => {
    await withRegistry({ headersTimeoutMs: 300, lingerMs: 50 }, async (registry) => {
      const socket = await open(registry.port)
      socket.write('GET /v2/ HTTP/1.1\r\nHost: h\r\nX-Slow: ')
      const drip = setInterval(() => socket.write('a'), 20)
      assert.match(await readToEnd(socket), /^HTTP\/1\.1 408 /)
      clearInterval(drip)
    })
  })
})

describe('a client that reads a byte at a time', () => {
  for (const configuration of configurations) {
    test(`is let go after the idle time, and has cost no more than buffers (${configuration.name})`, async () => {
      const registry = await startRegistry(configuration, { limits: { bodyIdleTimeoutMs: 400 } })
      try {
        const digest = await pushBlob(registry, 'slow', randomBytes(32 * 1024 * 1024))
        const socket = connect(registry.port, '127.0.0.1')
        socket.on('error', () => undefined)
        socket.write(`GET /v2/slow/blobs/${digest} HTTP/1.1\r\nHost: h\r\nUser-Agent: slow\r\n\r\n`)
        const isOurs = ({ userAgent }: Readonly<Record<string, unknown>>): boolean => userAgent === 'slow'
        const end = performance.now() + 10_000
        while (!registry.log.some(isOurs) && performance.now() < end) {
          socket.read(1)
          await sleep(50)
        }
        const line = registry.log.find(isOurs)
        assert.equal(line?.['aborted'], true)
        assert.ok(
          Number(line['bytesOut']) < 16 * 1024 * 1024,
          `${String(line['bytesOut'])} bytes were handed to the socket`,
        )
        assert.deepEqual(registry.faults, [])
        socket.destroy()
      } finally {
        await registry.close()
      }
    })
  }
})

describe('uploads', () => {
  /** A request whose body has begun and does not go on. */
  async function begin(port: number, head: string): Promise<Socket> {
    const socket = await open(port)
    socket.write(`${head}Host: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n`)
    return socket
  }
  const post = (registry: TestRegistry) => registry.send('POST', '/v2/many/blobs/uploads/')
  const manifest = `PUT /v2/many/manifests/v1 HTTP/1.1\r\nContent-Type: ${ociManifest}\r\n`

  test('one body too many is 429 with when to come again; what has no body goes on, and so does the next later', async () => {
    let bodies = 0
    const registry = await startRegistry(memory, {
      limits: { maxUploads: 2 },
      adapt: (dependencies) => ({
        ...dependencies,
        metrics: { ...dependencies.metrics, startBody: () => void bodies++, endBody: () => void bodies-- },
      }),
    })
    try {
      const urls = await Promise.all([post(registry), post(registry), post(registry)])
      const [first = '', second = '', third = ''] = urls.map(({ headers }) => headers.location)
      const sockets = [
        await begin(registry.port, `PATCH ${first} HTTP/1.1\r\n`),
        await begin(registry.port, `PATCH ${second} HTTP/1.1\r\n`),
      ]
      await until(() => bodies === 2)
      const refused = await registry.send('PATCH', third, { body: 'x' })
      assert.equal(refused.status, 429)
      assert.deepEqual(codesOf(refused), ['TOOMANYREQUESTS'])
      assert.equal(refused.headers['retry-after'], '5')
      assert.equal((await post(registry)).status, 202)
      assert.equal((await registry.send('GET', third)).status, 204)
      sockets[0]?.write('0\r\n\r\n')
      await until(() => bodies === 1)
      assert.equal((await registry.send('PATCH', third, { body: 'x' })).status, 202)
      sockets[1]?.destroy()
      await until(() => bodies === 0)
      sockets[0]?.destroy()
    } finally {
      await registry.close()
    }
  })

  test('manifests of unknown length count as long as they may be, others as long as they say', async () => {
    let bodies = 0
    const registry = await startRegistry(memory, {
      limits: { manifestBytes: 8 * 1024 * 1024 },
      adapt: (dependencies) => ({
        ...dependencies,
        metrics: { ...dependencies.metrics, startBody: () => void bodies++, endBody: () => void bodies-- },
      }),
    })
    try {
      const options = { headers: { 'Content-Type': ociManifest }, body: '{}' }
      const put = () => registry.send('PUT', '/v2/many/manifests/v1', options)
      const first = await begin(registry.port, manifest)
      await until(() => bodies === 1)
      assert.equal((await put()).status, 400, 'it was read')
      const second = await begin(registry.port, manifest)
      await until(() => bodies === 2)
      const refused = await put()
      assert.equal(refused.status, 429)
      assert.deepEqual(codesOf(refused), ['TOOMANYREQUESTS'])
      assert.equal((await post(registry)).status, 202)
      first.destroy()
      second.destroy()
      await until(async () => (await put()).status === 400)
    } finally {
      await registry.close()
    }
  })

  test('1,000 sessions can be open; the next is 429 until one has ended, here or elsewhere', async () => {
    const registry = await startRegistry(filesystem, { registry: { maxOpenUploads: 1000 } })
    try {
      const urls: string[] = []
      for (let i = 0; i < 20; i++) {
        const answers = await Promise.all(Array.from({ length: 50 }, () => post(registry)))
        for (const { status, headers } of answers) {
          assert.equal(status, 202)
          urls.push(headers.location ?? '')
        }
      }
      const refused = await post(registry)
      assert.equal(refused.status, 429)
      assert.deepEqual(codesOf(refused), ['TOOMANYREQUESTS'])
      assert.equal(refused.headers['retry-after'], '5')
      const [first = '', second = ''] = urls
      assert.equal((await registry.send('PATCH', first, { body: 'x' })).status, 202, 'those that are open go on')
      assert.equal((await registry.send('DELETE', first)).status, 204)
      assert.equal((await post(registry)).status, 202)
      assert.equal((await post(registry)).status, 429)
      // As the sweep, or another process, would.
      await registry.driver.remove(`uploads/${second.split('/').at(-1)}/session`)
      await until(async () => (await post(registry)).status === 202)
      assert.equal((await post(registry)).status, 429)
    } finally {
      await registry.close()
    }
  })

  test('a blob has at most so many bytes, in one body or in several, announced or not', async () => {
    const registry = await startRegistry(memory, { registry: { maxBlobBytes: 10 } })
    try {
      const chunked = { 'Transfer-Encoding': 'chunked' }
      const url = (await post(registry)).headers.location ?? ''
      for (const headers of [{}, chunked]) {
        const refused = await registry.send('PATCH', url, { headers, body: 'eleven byte' })
        assert.equal(refused.status, 413)
        assert.deepEqual(codesOf(refused), ['TOO_LARGE'])
      }
      assert.equal((await registry.send('PATCH', url, { body: 'sixsix' })).status, 202)
      for (const headers of [{}, chunked]) {
        const options = { headers: { ...headers, 'Content-Range': '6-10' }, body: 'five5' }
        assert.equal((await registry.send('PATCH', url, options)).status, 413)
      }
      assert.equal((await registry.send('GET', url)).headers.range, '0-5', 'what was there is there')
      await pushBlob(registry, 'many', Buffer.from('ten bytes!'))
    } finally {
      await registry.close()
    }
  })
})
