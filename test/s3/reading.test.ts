/** Reading through broken connections, silence, replacements and aborts: byte for byte or an error, in bounded time, with no socket left. */
import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { after, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Driver } from '../../src/storage/driver.ts'
import type { S3Options } from '../../src/storage/s3/options.ts'
import { describeCall } from './calls.ts'
import { failNext, type Fault, type Script } from './proxy.ts'
import { copied, eventually, isUnavailable, newName, type Scene, setScene, variedBytes } from './scene.ts'
import { reasonToSkip, type S3Server, startVersitygw } from './servers.ts'

const mebibyte = 1024 * 1024
const bytes = variedBytes(3 * mebibyte + 11)
const range = { start: 5, end: bytes.length - 3 }
const asked = bytes.subarray(range.start, range.end)
const faultless: Script = () => undefined
const always =
  (fault: Fault): Script =>
  () =>
    fault

describe('reading under faults', { skip: reasonToSkip('versitygw') }, () => {
  let server: S3Server
  let scene: Scene
  let driver: Driver
  let direct: Driver
  let key: string
  before(async () => {
    server = await startVersitygw()
    scene = await setScene(server)
    ;({ driver, direct } = scene)
  })
  after(async () => {
    await scene.close()
    await server.remove()
  })
  beforeEach(async () => {
    key = `data/${newName()}/a`
    await direct.write(key, bytes)
    scene.play(faultless)
  })

  const ranges = () => scene.proxy.requests.map(({ headers }) => headers.range)

  it('reads a record again whose answer was cut', async () => {
    await direct.write(key, bytes.subarray(0, 100_000))
    for (const at of [0, 1, 50_000, 99_999]) {
      scene.play(failNext('GetObject', { kind: 'cut answer', bytes: at }))
      assert.ok((await driver.read(key))?.bytes.equals(bytes.subarray(0, 100_000)))
      assert.deepEqual(scene.calls(), ['GetObject', 'GetObject'])
    }
  })

  it('goes on where a copy broke, with the rest of the range and only of the same content', async () => {
    scene.play(failNext('GetObject', { kind: 'cut answer', bytes: mebibyte }, 2))
    assert.ok((await copied(await driver.open(key, range))).equals(asked))
    const [first, ...further] = scene.proxy.requests
    assert.equal(first?.headers['if-match'], undefined)
    const etag = /^".+"$/
    for (const { headers } of further) assert.match(headers['if-match'] ?? '', etag)
    const last = `${range.end - 1}`
    assert.deepEqual(ranges(), [
      `bytes=5-${last}`,
      `bytes=${5 + mebibyte}-${last}`,
      `bytes=${5 + 2 * mebibyte}-${last}`,
    ])
  })

  it('gives a copy up that breaks again and again without getting on', async () => {
    scene.play(always({ kind: 'cut answer', bytes: 1 }))
    await assert.rejects(driver.open(key, range).then(copied), isUnavailable)
    assert.equal(scene.calls().length, 6)
  })

  it('goes on as often as it takes while a copy gets on', async () => {
    const large = variedBytes(7 * 8 * mebibyte + 5)
    const writer = await direct.writeStream(key)
    await writer.write(large)
    await writer.seal()
    scene.play(always({ kind: 'cut answer', bytes: 8 * mebibyte }))
    assert.ok((await copied(await driver.open(key, { start: 0, end: large.length }))).equals(large))
    assert.equal(scene.calls().length, 8)
  })

  it('never mixes the bytes of two contents', async () => {
    const opened = await (async () => {
      scene.play(failNext('GetObject', { kind: 'cut answer', bytes: mebibyte }))
      return driver.open(key, range)
    })()
    await direct.write(key, Buffer.alloc(bytes.length, 'other'))
    const { target, received } = collector()
    await assert.rejects(async () => opened?.copyTo(target), isUnavailable)
    assert.ok(received().equals(asked.subarray(0, mebibyte)))
  })

  it('says that the store is not available when what it copies was removed in a break', async () => {
    scene.play(failNext('GetObject', { kind: 'cut answer', bytes: 1000 }))
    const opened = await driver.open(key, range)
    await direct.remove(key)
    await assert.rejects(copied(opened), isUnavailable)
  })

  it('takes a silent store for a broken one', async () => {
    const hasty = await scene.open({ socketTimeoutMs: 500 })
    scene.play(failNext('GetObject', { kind: 'hang in answer', bytes: mebibyte }))
    assert.ok((await copied(await hasty.open(key, range))).equals(asked))
    scene.play(failNext('GetObject', { kind: 'hang' }))
    assert.ok((await copied(await hasty.open(key, range))).equals(asked))
    scene.play(failNext('HeadObject', { kind: 'hang' }))
    assert.equal((await hasty.stat(key))?.size, bytes.length)
  })

  it('waits for a slow client: a pause of its own is not silence of the store', async () => {
    const hasty = await scene.open({ socketTimeoutMs: 500 })
    await direct.write(key, Buffer.concat([bytes, bytes, bytes]))
    let isFirst = true
    const target = new Writable({
      write(_chunk, _encoding, done) {
        // Three times what a silent store is given.
        setTimeout(done, isFirst ? 1500 : 0)
        isFirst = false
      },
    })
    scene.play(faultless)
    await (await hasty.open(key, { start: 0, end: bytes.length * 3 }))?.copyTo(target)
    assert.deepEqual(scene.calls(), ['GetObject'])
  })

  /** A copy from a store that has fallen silent in the body, on connections that are counted. */
  async function startStuck(options: Partial<S3Options> = {}) {
    const other = await setScene(server, options)
    await other.direct.write(key, bytes)
    other.play(always({ kind: 'hang in answer', bytes: 1000 }))
    const controller = new AbortController()
    const opened = await other.driver.open(key, range)
    assert.ok(opened !== undefined)
    const { target, received } = collector()
    const outcome = opened.copyTo(target, { signal: controller.signal })
    outcome.catch(() => undefined)
    await eventually(() => received().length === 1000, 'the first bytes came')
    return { ...other, opened, controller, target, outcome }
  }

  const endings = {
    'an abort': [(stuck) => stuck.controller.abort(new Error('enough')), /enough/],
    'the end of the target': [(stuck) => stuck.target.destroy(), /target closed/],
    'an error of the target': [(stuck) => stuck.target.destroy(new Error('reset by peer')), /reset by peer/],
    'a close': [(stuck) => void stuck.opened.close(), /is closed/],
  } as const satisfies Record<string, readonly [(stuck: Awaited<ReturnType<typeof startStuck>>) => void, RegExp]>
  for (const [name, [end, expected]] of Object.entries(endings)) {
    it(`ends a copy by ${name} while the store is silent: at once, without another attempt or a socket`, async () => {
      const stuck = await startStuck()
      const begun = performance.now()
      end(stuck)
      await assert.rejects(stuck.outcome, expected)
      // A silent store is given 30 seconds.
      assert.ok(performance.now() - begun < 10_000)
      assert.deepEqual(stuck.calls(), ['GetObject'])
      // Only what asked for the list at the start may be left.
      await eventually(async () => (await stuck.proxy.connections()) <= 1, 'the connection is closed')
      await stuck.close()
    })
  }

  it('ends a copy by an abort while it asks for the rest', async () => {
    let count = 0
    scene.play(() => (count++ === 0 ? { kind: 'cut answer', bytes: 1000 } : { kind: 'hang' }))
    const controller = new AbortController()
    const outcome = driver
      .open(key, range)
      .then((opened) => opened?.copyTo(collector().target, { signal: controller.signal }))
    outcome.catch(() => undefined)
    await eventually(() => scene.calls().length === 2, 'the rest is asked for')
    controller.abort(new Error('enough'))
    await assert.rejects(outcome, /enough/)
  })

  it('is not copied after it was closed, nor twice', async () => {
    const opened = await driver.open(key, range)
    await opened?.close()
    await assert.rejects(copied(opened), { name: 'Error', message: `${key} is closed` })
    const other = await driver.open(key, range)
    await copied(other)
    await assert.rejects(copied(other), { name: 'Error', message: `${key} is closed` })
  })

  it('rejects a read that is aborted with its reason, wherever the store is silent', async () => {
    const actions: readonly ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => driver.read(key, { signal }),
      (signal) => driver.stat(key, { signal }),
      (signal) => driver.open(key, range, { signal }),
      (signal) => driver.list('data/', { limit: 1, signal }),
    ]
    for (const action of actions) {
      scene.play(always({ kind: 'hang' }))
      const controller = new AbortController()
      const outcome = action(controller.signal)
      outcome.catch(() => undefined)
      await eventually(() => scene.calls().length === 1, 'the call is made')
      controller.abort(new Error('enough'))
      await assert.rejects(outcome, { name: 'Error', message: 'enough' })
    }
  })

  it('rejects with the reason also in the pause before another attempt', async () => {
    let isPausing = false
    const pause = (_: number, signal?: AbortSignal): Promise<unknown> => {
      isPausing = true
      return sleep(60_000, undefined, { signal })
    }
    const other = await scene.open({ sleep: pause })
    scene.play(always({ kind: 'status', status: 500, code: 'InternalError' }))
    const controller = new AbortController()
    const outcome = other.read(key, { signal: controller.signal })
    outcome.catch(() => undefined)
    await eventually(() => isPausing, 'the pause has begun')
    controller.abort(new Error('enough'))
    await assert.rejects(outcome, { name: 'Error', message: 'enough' })
    assert.deepEqual(scene.calls(), ['GetObject'])
  })

  it('refuses a value that is too large, and a range outside of it, as a bug of the caller', async () => {
    const strict = await scene.open({ maxValueBytes: 1000 })
    await assert.rejects(strict.read(key), { name: 'Error', message: /3145739 bytes/ })
    for (const end of [bytes.length + 1, bytes.length + 1000]) {
      await assert.rejects(driver.open(key, { start: bytes.length - 1, end }), { name: 'Error', message: /range/ })
      await assert.rejects(driver.open(key, { start: end - 1, end }), { name: 'Error', message: /range/ })
    }
  })

  it('leaves no socket in this process when the driver is closed, whatever was going on', async () => {
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
    const before = sockets()
    const other = await setScene(server)
    await other.direct.write(key, bytes)
    await other.driver.open(key, range)
    other.play((request) => (describeCall(request) === 'GetObject' ? { kind: 'hang in answer', bytes: 10 } : undefined))
    const outcomes = [
      copied(await other.driver.open(key, range)),
      other.driver.read(key),
      copied(await other.driver.open(key, range)),
    ]
    const settled = Promise.allSettled(outcomes)
    await eventually(() => other.calls().length === 3, 'all are asked for')
    await other.driver.close()
    for (const { status } of await settled) assert.equal(status, 'rejected')
    await eventually(async () => (await other.proxy.connections()) === 0, 'no connection is open')
    await other.close()
    await eventually(() => sockets() <= before, 'no socket is left')
  })
})

function collector(): { readonly target: Writable; readonly received: () => Buffer } {
  const chunks: Buffer[] = []
  const target = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(Buffer.from(chunk))
      done()
    },
  })
  target.on('error', () => undefined)
  return { target, received: () => Buffer.concat(chunks) }
}
