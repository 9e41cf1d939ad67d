/** When workers are replaced: no process, no clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandError } from '../../src/cli/command.ts'
import { createWorkerPool } from '../../src/cli/worker-pool.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

interface FakeChild {
  readonly told: string[]
  readonly say: (message: object) => void
  readonly end: (reason: string, wasKilled?: boolean) => void
  isKilled: boolean
}

const oneCounter = (value: number) => [
  { name: 'requests', help: 'requests', type: 'counter', aggregator: 'sum', values: [{ value, labels: {} }] },
]

/** A pool whose processes are scripted and whose sleeps are recorded: they end at once, unless they are longer than `patienceMs`. */
function createWorld({ count = 1, patienceMs = 1_000_000 } = {}) {
  const children: FakeChild[] = []
  const sleeps: number[] = []
  const ends: string[] = []
  const lines: string[] = []
  let nowMs = 0
  const pool = createWorkerPool({
    count,
    restartMs: 100,
    maxRestartMs: 1000,
    faultTimeoutMs: 5000,
    metricsTimeoutMs: 50,
    texts: {},
    log: createLogger({ level: 'info', format: 'json', write: (line) => lines.push(line), now: () => new Date(0) }),
    metrics: { setWorkers: () => undefined, recordWorkerEnd: (cause) => ends.push(cause) },
    monotonicMs: () => nowMs,
    sleep: async (ms, signal) => {
      sleeps.push(ms)
      if (ms > patienceMs) {
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')))
        })
      }
    },
    start: (onMessage) => {
      const { promise: ended, resolve } = Promise.withResolvers<{ reason: string; wasKilled: boolean }>()
      const child: FakeChild = {
        told: [],
        say: onMessage,
        end: (reason, wasKilled = false) => resolve({ reason, wasKilled }),
        isKilled: false,
      }
      children.push(child)
      return {
        pid: children.length,
        tell: (message) => void child.told.push('kind' in message ? String(message.kind) : ''),
        ended,
        kill: () => {
          child.isKilled = true
          child.end('killed by SIGKILL', true)
        },
      }
    },
  })
  const childAt = (index: number): FakeChild => {
    const child = children[index]
    assert.ok(child !== undefined, `there is no process ${index}`)
    return child
  }
  /** Lets everything happen that does not wait for the test. */
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const serve = async (index: number): Promise<void> => {
    childAt(index).say({ kind: 'loaded' })
    await settle()
    childAt(index).say({ kind: 'listening', port: 5000 })
    await settle()
  }
  return { pool, children, childAt, sleeps, ends, lines, serve, settle, pass: (ms: number) => (nowMs += ms) }
}

test('all listen before the server does', async () => {
  const { pool, serve, childAt } = createWorld({ count: 2 })
  let port: number | undefined
  const listening = pool.listen().then((found) => (port = found))
  await serve(0)
  assert.deepEqual(childAt(0).told, ['serve'])
  assert.equal(port, undefined)
  await serve(1)
  assert.equal(await listening, 5000)
  assert.equal(pool.count(), 2)
})

test('a worker that cannot listen ends the start with its sentence', async () => {
  const { pool, childAt, serve, settle } = createWorld({ count: 2 })
  const listening = pool.listen()
  await serve(0)
  childAt(1).say({ kind: 'loaded' })
  await settle()
  childAt(1).say({ kind: 'refused', message: 'another program listens' })
  childAt(1).end('exit code 0')
  await assert.rejects(listening, new CommandError('cannotStart', 'another program listens'))
  pool.abandon()
  assert.ok(childAt(0).isKilled)
})

test('replacements wait twice as long each time, up to a limit, and less again after a long life', async () => {
  const { pool, childAt, children, serve, settle, sleeps, ends, pass } = createWorld()
  const listening = pool.listen()
  await serve(0)
  await listening
  for (let died = 0; died < 5; died++) {
    childAt(died).end('exit code 1')
    await settle()
    await serve(died + 1)
  }
  assert.deepEqual(sleeps, [100, 200, 400, 800, 1000])
  pass(1000)
  childAt(5).end('killed by SIGKILL', true)
  await settle()
  assert.equal(sleeps.at(-1), 100)
  assert.deepEqual(ends, ['exited', 'exited', 'exited', 'exited', 'exited', 'killed'])
  assert.equal(children.length, 7)
})

test('a replacement that cannot listen is replaced, too', async () => {
  const { pool, childAt, serve, settle, ends, lines } = createWorld()
  const listening = pool.listen()
  await serve(0)
  await listening
  childAt(0).end('exit code 1')
  await settle()
  childAt(1).say({ kind: 'loaded' })
  childAt(1).say({ kind: 'refused', message: 'the folder is gone' })
  childAt(1).end('exit code 0')
  await settle()
  assert.equal(pool.count(), 0)
  await serve(2)
  assert.equal(pool.count(), 1)
  assert.deepEqual(ends, ['exited', 'refused'])
  assert.match(lines.join(''), /"reason":"the folder is gone","afterMs":200/)
})

test('one that met a bug is replaced before it has ended, and killed when that takes too long', async () => {
  const { pool, childAt, children, serve, settle, sleeps, ends } = createWorld()
  const listening = pool.listen()
  await serve(0)
  await listening
  childAt(0).say({ kind: 'faulty' })
  await settle()
  assert.equal(children.length, 2)
  assert.deepEqual(ends, ['bug'])
  assert.deepEqual(sleeps, [10_000, 100])
  assert.ok(childAt(0).isKilled)
})

test('what a worker had counted stays when it is gone; one that does not answer counts as it last said', async () => {
  const { pool, childAt, serve, settle } = createWorld({ count: 2 })
  const listening = pool.listen()
  await serve(0)
  await serve(1)
  await listening
  childAt(0).say({ kind: 'measured', snapshot: oneCounter(3) })
  childAt(1).say({ kind: 'measured', snapshot: oneCounter(4) })
  childAt(0).end('killed by SIGKILL', true)
  await settle()
  const [gone, silent] = await pool.measure()
  assert.deepEqual(
    gone?.map((metric) => ('values' in metric ? metric.values : undefined)),
    [[{ value: 3, labels: {} }]],
  )
  assert.deepEqual(silent, oneCounter(4))
})

test('a stop: nobody is replaced, those that take too long are killed, and that is a cut', async () => {
  const { pool, childAt, children, serve, sleeps } = createWorld({ count: 2 })
  const listening = pool.listen()
  await serve(0)
  await serve(1)
  await listening
  const stopped = pool.stop({ delayMs: 1000, limitMs: 25_000, hurry: new AbortController().signal })
  childAt(0).say({ kind: 'drained', outcome: 'finished' })
  childAt(0).end('exit code 0')
  assert.equal(await stopped, 'cut')
  assert.deepEqual([childAt(0).told.at(-1), childAt(1).told.at(-1)], ['stop', 'stop'])
  assert.deepEqual(sleeps, [31_000])
  assert.deepEqual([childAt(0).isKilled, childAt(1).isKilled], [false, true])
  assert.equal(children.length, 2)
})

test('a stop in which all requests ended is no cut; a hurry is passed on', async () => {
  const { pool, childAt, serve } = createWorld({ patienceMs: 100 })
  const listening = pool.listen()
  await serve(0)
  await listening
  const hurry = new AbortController()
  const stopped = pool.stop({ delayMs: 0, limitMs: 25_000, hurry: hurry.signal })
  hurry.abort()
  assert.deepEqual(childAt(0).told, ['serve', 'stop', 'hurry'])
  childAt(0).say({ kind: 'drained', outcome: 'finished' })
  childAt(0).end('exit code 0')
  assert.equal(await stopped, 'finished')
  assert.equal(childAt(0).isKilled, false)
})
