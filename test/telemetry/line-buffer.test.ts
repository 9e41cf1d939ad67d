import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLineBuffer } from '../../src/telemetry/line-buffer.ts'

function record(maxWaitMs = 100) {
  const written: string[] = []
  const timers = new Set<() => void>()
  const buffer = createLineBuffer({
    write: (text) => void written.push(text),
    maxBytes: 10,
    maxWaitMs,
    startTimer: (run, ms) => {
      assert.equal(ms, maxWaitMs)
      timers.add(run)
      return () => timers.delete(run)
    },
  })
  const elapse = (): void => {
    for (const run of timers) run()
  }
  return { buffer, written, timers, elapse }
}

test('lines wait for the first timer, then go out together', () => {
  const { buffer, written, timers, elapse } = record()
  buffer.add('a\n')
  buffer.add('b\n')
  assert.deepEqual(written, [])
  assert.equal(timers.size, 1)
  elapse()
  assert.deepEqual(written, ['a\nb\n'])
  assert.equal(timers.size, 0)
  buffer.add('c\n')
  elapse()
  assert.deepEqual(written, ['a\nb\n', 'c\n'])
})

test('never more than fits goes out together, or waits; a line that is longer goes by itself', () => {
  const { buffer, written, timers } = record()
  for (let i = 0; i < 5; i++) buffer.add('line\n')
  assert.deepEqual(written, ['line\nline\n', 'line\nline\n'])
  assert.equal(timers.size, 1)
  buffer.write('äöüäöü\n')
  buffer.add('much too long\n')
  buffer.add('a\n')
  buffer.flush()
  assert.deepEqual(written.slice(2), ['line\n', 'äöüäöü\n', 'much too long\n', 'a\n'])
})

test('a line that may not wait takes along what waited before it', () => {
  const { buffer, written } = record()
  buffer.add('a\n')
  buffer.write('b\n')
  assert.deepEqual(written, ['a\nb\n'])
})

test('at the end what waits is written, and nothing twice', () => {
  const { buffer, written } = record()
  buffer.add('a\n')
  buffer.flush()
  buffer.flush()
  assert.deepEqual(written, ['a\n'])
})

test('with no time to wait every line goes out by itself', () => {
  const { buffer, written } = record(0)
  buffer.add('a\n')
  buffer.add('b\n')
  assert.deepEqual(written, ['a\n', 'b\n'])
})
