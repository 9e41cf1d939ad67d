/** Clients that are slow and never silent for long: they are told so, or cut, and it is nobody's fault but theirs. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPace } from '../../src/http/pace.ts'
import { computeDigest, type Digest } from '../../src/oci/digest.ts'
import { configurations, pushBlob, startRegistry, type TestRegistry, until } from './harness.ts'

const mebibyte = 1024 * 1024

describe('the pace of a body', () => {
  /** A client that sends some bytes after each wait of so many ms; says what became of it after so many waits. */
  function send(bytes: number, everyMs: number, times: number, busyMs = 0): string {
    let nowMs = 0
    const pace = createPace({ bodyIdleTimeoutMs: 60_000, minRateBytes: 1000 }, () => nowMs)
    for (let sent = 1; sent <= times; sent++) {
      pace.wait()
      nowMs += everyMs
      if (pace.take(bytes) === 'too slow') return `cut after ${nowMs / 1000} s`
      nowMs += busyMs
    }
    return 'kept'
  }

  test('a byte a second is too slow once the time is over that a client may be silent, not before', () => {
    assert.equal(send(1, 1000, 59), 'kept')
    assert.equal(send(1, 1000, 100), 'cut after 60 s')
  })

  test('the least rate is enough, also with pauses', () => {
    assert.equal(send(1000, 1000, 10_000), 'kept')
    assert.equal(send(59_000, 59_000, 10_000), 'kept')
    assert.equal(send(999, 1000, 10_000), 'cut after 60 s')
  })

  test('a client that was fast may not be slow later', () => {
    let nowMs = 0
    const pace = createPace({ bodyIdleTimeoutMs: 60_000, minRateBytes: 1000 }, () => nowMs)
    const wait = (ms: number): void => {
      pace.wait()
      nowMs += ms
    }
    for (let second = 0; second < 60; second++) {
      wait(1000)
      assert.equal(pace.take(mebibyte), 'kept')
    }
    for (let second = 0; second < 59; second++) {
      wait(1000)
      assert.equal(pace.take(1), 'kept')
    }
    wait(1000)
    assert.equal(pace.take(1), 'too slow')
  })

  test('the time that the server takes is not held against the client', () => {
    assert.equal(send(100, 10, 10_000, 60_000), 'kept')
  })
})

for (const configuration of configurations) {
  describe(`on ${configuration.name}`, () => {
    async function withRegistry(minRateBytes: number, work: (registry: TestRegistry) => Promise<void>): Promise<void> {
      const registry = await startRegistry(configuration, {
        limits: { bodyIdleTimeoutMs: 500, minRateBytes, lingerMs: 50 },
      })
      try {
        await work(registry)
        assert.deepEqual(registry.faults, [])
      } finally {
        await registry.close()
      }
    }

    /** Each piece is there before the time is over that it may take, on a busy machine, too. */
    async function pushInPieces(registry: TestRegistry, bytes: Buffer): Promise<Digest> {
      const digest = computeDigest('sha256', bytes)
      let path = (await registry.send('POST', '/v2/slow/blobs/uploads/')).headers.location ?? ''
      for (let at = 0; at < bytes.length; at += mebibyte) {
        const answer = await registry.send('PATCH', path, {
          headers: { 'Content-Range': `${at}-${at + mebibyte - 1}` },
          body: bytes.subarray(at, at + mebibyte),
        })
        assert.equal(answer.status, 202)
        path = answer.headers.location ?? ''
      }
      assert.equal((await registry.send('PUT', `${path}?digest=${digest}`)).status, 201)
      return digest
    }

    /** Sends a PATCH some bytes at a time, until it is answered or so many are sent; gives the answer and what the upload has then. */
    async function drip(
      registry: TestRegistry,
      chunkBytes: number,
    ): Promise<{ answer: string; range: string | undefined }> {
      const path = (await registry.send('POST', '/v2/slow/blobs/uploads/')).headers.location ?? ''
      const socket = connect(registry.port, '127.0.0.1').on('error', () => undefined)
      const received: string[] = []
      const isAnswered = (): boolean => received.length > 0
      socket.on('data', (bytes: Buffer) => received.push(bytes.toString('latin1')))
      socket.write(`PATCH ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${chunkBytes * 40}\r\n\r\n`)
      for (let sent = 0; sent < 40 && !isAnswered(); sent++) {
        socket.write(Buffer.alloc(chunkBytes))
        await sleep(25)
      }
      await until(isAnswered)
      socket.destroy()
      return { answer: received.join(''), range: (await registry.send('GET', path)).headers['range'] }
    }

    test('a body that drips is 408, and what came of it is kept', async () => {
      await withRegistry(10_000, async (registry) => {
        const { answer, range } = await drip(registry, 20)
        assert.match(answer, /^HTTP\/1\.1 408 [^]*connection: close[^]*too slowly/i)
        assert.match(range ?? '', /^0-\d+$/)
      })
    })

    test('a body that comes as fast as it must is taken', async () => {
      await withRegistry(10_000, async (registry) => {
        const { answer, range } = await drip(registry, 2000)
        assert.match(answer, /^HTTP\/1\.1 202 /)
        assert.equal(range, '0-79999')
      })
    })

    /** Reads a blob of 32 MiB a few bytes at a time; gives the line of its request, or what came of the blob within the time. */
    async function readSlowly(
      registry: TestRegistry,
      pieceBytes: number,
    ): Promise<Readonly<Record<string, unknown>> | undefined> {
      const digest = await pushInPieces(registry, randomBytes(32 * mebibyte))
      const socket = connect(registry.port, '127.0.0.1').on('error', () => undefined)
      socket.pause()
      socket.write(`GET /v2/slow/blobs/${digest} HTTP/1.1\r\nHost: h\r\nUser-Agent: slow\r\n\r\n`)
      const findLine = () => registry.log.find(({ userAgent }) => userAgent === 'slow')
      const end = performance.now() + 3000
      while (findLine() === undefined && performance.now() < end) {
        socket.read(Math.min(pieceBytes, socket.readableLength))
        await sleep(30)
      }
      socket.destroy()
      return findLine()
    }

    test('a reader that is never silent, and slower than it must be, is cut: it left, for the log', async () => {
      await withRegistry(1024 * mebibyte, async (registry) => {
        const line = await readSlowly(registry, 16 * 1024)
        assert.deepEqual([line?.['aborted'], line?.['status']], [true, 200])
      })
    })

    test('a client that asks for many small answers and reads none is cut', async () => {
      await withRegistry(0, async (registry) => {
        const digest = await pushBlob(registry, 'slow', randomBytes(16_000))
        const socket = connect(registry.port, '127.0.0.1').on('error', () => undefined)
        socket.pause()
        socket.write(`GET /v2/slow/blobs/${digest} HTTP/1.1\r\nHost: h\r\n\r\n`.repeat(2000))
        // Who does not read hears of the end only when he writes.
        for (const end = performance.now() + 3000; !socket.closed && performance.now() < end; await sleep(25)) {
          socket.write('\r\n')
        }
        assert.ok(socket.closed)
      })
    })

    test('a reader that is as fast as it must be is served', async () => {
      await withRegistry(1024, async (registry) => {
        assert.equal(await readSlowly(registry, 128 * 1024), undefined)
      })
    })
  })
}
