import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keepBeside, lowForMs } from '../../src/cli/beside.ts'
import { starved } from '../../src/cli/starvation.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

interface Child {
  readonly args: readonly string[]
  readonly say: (message: unknown) => void
  readonly end: (reason: string) => void
  readonly signal: AbortSignal
}

/** Processes that do what a test says; one that is told to stop does. */
function start() {
  const children: Child[] = []
  const told: unknown[] = []
  const lines: string[] = []
  const sleeps: { readonly ms: number; readonly wake: () => void }[] = []
  const stop = new AbortController()
  const clock = { now: 0 }
  const done = keepBeside(
    {
      args: ['sweeper'],
      runBeside: (args, say, signal) => {
        const { promise, resolve } = Promise.withResolvers<string>()
        signal.addEventListener('abort', () => resolve('killed by SIGTERM'))
        children.push({ args, say, end: resolve, signal })
        return promise
      },
      onMessage: (message) => told.push(message),
      log: createLogger({ level: 'info', format: 'json', write: (line) => lines.push(line), now: () => new Date(0) }),
      monotonicMs: () => clock.now,
      sleep: (ms, signal) =>
        new Promise<void>((resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')))
          sleeps.push({ ms, wake: resolve })
        }),
      maxPauseMs: 3000,
    },
    stop.signal,
  )
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  return { children, clock, told, lines, sleeps, done, settle, stop: () => stop.abort() }
}

describe('the process beside a server', () => {
  it('that starves is replaced at once by one that takes a share, for some hours', async () => {
    const { children, clock, told, lines, sleeps, settle, stop, done } = start()
    children[0]?.say({ kind: 'sweep' })
    children[0]?.say(starved)
    await settle()
    assert.deepEqual(
      children.map(({ args }) => args),
      [['sweeper'], ['sweeper', '--low']],
    )
    assert.deepEqual(told, [{ kind: 'sweep' }])
    assert.deepEqual(
      sleeps.map(({ ms }) => ms),
      [lowForMs],
    )
    clock.now = lowForMs
    sleeps[0]?.wake()
    await settle()
    assert.deepEqual(children[2]?.args, ['sweeper'])
    assert.equal(children[1]?.signal.aborted, true)
    assert.match(lines.join(''), /"level":"warn".*hardly gets.*"level":"info".*runs again only when/s)
    stop()
    await done
  })

  it('that dies is started again with its priority, later each time', async () => {
    const { children, sleeps, lines, settle, stop, done } = start()
    children[0]?.say(starved)
    await settle()
    const pauses = (): readonly number[] => sleeps.map(({ ms }) => ms).filter((ms) => ms !== lowForMs)
    for (const [i, pause] of [1000, 2000, 3000, 3000].entries()) {
      children.at(-1)?.end('killed by SIGKILL')
      await settle()
      assert.equal(pauses()[i], pause)
      sleeps.at(-1)?.wake()
      await settle()
      assert.deepEqual(children.at(-1)?.args, ['sweeper', '--low'])
    }
    assert.match(lines.at(-1) ?? '', /"level":"error".*"reason":"killed by SIGKILL"/)
    stop()
    await done
  })

  it('is idle again when those hours are over, however often it died in them', async () => {
    const { children, clock, sleeps, settle, stop, done } = start()
    children[0]?.say(starved)
    await settle()
    clock.now = lowForMs - 1000
    children[1]?.end('killed by SIGKILL')
    await settle()
    sleeps.at(-1)?.wake()
    await settle()
    assert.deepEqual(children[2]?.args, ['sweeper', '--low'])
    assert.equal(sleeps.at(-1)?.ms, 1000)
    clock.now = lowForMs
    children[2]?.end('killed by SIGKILL')
    await settle()
    sleeps.at(-1)?.wake()
    await settle()
    assert.deepEqual(children[3]?.args, ['sweeper'])
    stop()
    await done
  })

  it('is not replaced for its starving when it takes a share already', async () => {
    const { children, settle, stop, done } = start()
    children[0]?.say(starved)
    await settle()
    children[1]?.say(starved)
    await settle()
    assert.equal(children.length, 2)
    assert.equal(children[1]?.signal.aborted, false)
    stop()
    await done
  })

  it('is told to stop with the server, and none is started after it', async () => {
    const { children, stop, done } = start()
    stop()
    await done
    assert.equal(children.length, 1)
    assert.equal(children[0]?.signal.aborted, true)
  })
})
