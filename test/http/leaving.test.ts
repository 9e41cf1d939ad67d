/** Clients that leave within a request body, with the idle time of production: what came is kept at once, not when a timer ends. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { computeDigest } from '../../src/oci/digest.ts'
import { configurations, startRegistry, type TestRegistry } from './harness.ts'

const soonMs = 3000

async function untilRange(registry: TestRegistry, path: string, range: string): Promise<void> {
  const end = performance.now() + soonMs
  for (;;) {
    const { headers } = await registry.send('GET', path)
    if (headers['range'] === range) return
    assert.ok(performance.now() < end, `the upload stands at ${headers['range']}, not at ${range}`)
    await sleep(10)
  }
}

/** Ways to leave once the first bytes of a chunk have been written. */
const ways: readonly (readonly [string, (socket: ReturnType<typeof connect>) => void])[] = [
  ['closes its side (FIN)', (socket) => socket.end()],
  ['is killed', (socket) => socket.destroy()],
  ['resets the connection', (socket) => socket.resetAndDestroy()],
  ['sends a chunk size that is none', (socket) => socket.write('zz\r\n')],
]

for (const configuration of configurations) {
  describe(`on ${configuration.name}, a client that leaves within a PATCH`, () => {
    for (const [way, leave] of ways) {
      it(`and ${way}: what came is kept, and the upload can go on`, async () => {
        const registry = await startRegistry(configuration, { limits: { bodyIdleTimeoutMs: 60_000 } })
        try {
          const started = await registry.send('POST', '/v2/a/b/blobs/uploads/')
          const path = started.headers.location ?? ''
          const socket = connect(registry.port, '127.0.0.1').on('error', () => undefined)
          socket.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`)
          // A moment for the bytes to arrive: what a reset overtakes has never come.
          await sleep(100)
          leave(socket)
          await untilRange(registry, path, '0-2')
          socket.destroy()
          const digest = computeDigest('sha256', Buffer.from('abcd'))
          const closed = await registry.send('PUT', `${path}?digest=${digest}`, {
            headers: { 'Content-Range': '3-3' },
            body: 'd',
          })
          assert.equal(closed.status, 201)
        } finally {
          await registry.close()
        }
      })
    }
  })
}
