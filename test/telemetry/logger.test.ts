import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { createLogger, type LoggerOptions, silentLogger } from '../../src/telemetry/logger.ts'

function record(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const log = createLogger({
    level: 'info',
    format: 'json',
    write: (line) => lines.push(line),
    now: () => new Date('2026-01-02T03:04:05.678Z'),
    ...options,
  })
  return { log, lines }
}

test('a JSON line has time, level and message, then the fields', () => {
  const { log, lines } = record()
  log.info('hello', { status: 200, nothing: undefined })
  assert.deepEqual(lines, ['{"time":"2026-01-02T03:04:05.678Z","level":"info","message":"hello","status":200}\n'])
})

test('less severe lines are left out', () => {
  const { log, lines } = record({ level: 'warn' })
  log.debug('a')
  log.info('b')
  log.warn('c')
  log.error('d')
  assert.equal(lines.length, 2)
  silentLogger.error('nobody hears this')
})

test('a child adds its fields to every line; the line wins over the child', () => {
  const { log, lines } = record()
  log.child({ requestId: 'r1', a: 1 }).child({ b: 2 }).info('x', { a: 3 })
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    time: '2026-01-02T03:04:05.678Z',
    level: 'info',
    message: 'x',
    requestId: 'r1',
    a: 3,
    b: 2,
  })
})

test('a field cannot pose as time, level or message', () => {
  const { log, lines } = record()
  log.info('real', { message: 'false', level: 'error', time: 'never' })
  assert.match(lines[0] ?? '', /^\{"time":"2026-[^"]+","level":"info","message":"real"\}\n$/)
})

test('an error is written with its code, stack and cause', () => {
  const { log, lines } = record()
  const error = Object.assign(new Error('no room', { cause: new Error('disk') }), { code: 'ENOSPC' })
  log.error('failed', { error })
  const written: unknown = JSON.parse(lines[0] ?? '')
  assert.partialDeepStrictEqual(written, {
    error: { name: 'Error', message: 'no room', code: 'ENOSPC', cause: { message: 'disk' } },
  })
})

test('what JSON cannot hold is no reason to fail', () => {
  const { log, lines } = record()
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  log.info('cycle', { cycle })
  log.info('big', { size: 10n })
  assert.equal(lines.length, 2)
  assert.match(lines[1] ?? '', /"size":"10"/)
})

test('on a terminal a line is readable, the stack of an error is indented below it', () => {
  const { log, lines } = record({ format: 'pretty' })
  log.warn('GET /v2/', { status: 404, agent: 'curl/8 "x"', id: 'a-1', gone: undefined })
  assert.deepEqual(lines, ['03:04:05.678Z WARN  GET /v2/ status=404 agent="curl/8 \\"x\\"" id=a-1\n'])
  log.error('failed', { error: new Error('one\ntwo') })
  assert.match(lines[1] ?? '', /^03:04:05.678Z ERROR failed error="one\\ntwo"\n {4}Error: one\n {4}two\n {4} {4}at /)
})

test('no client text can start a line or reach the terminal, in either format', () => {
  const nasty = fc.string({ unit: 'binary' })
  fc.assert(
    fc.property(fc.constantFrom('json', 'pretty'), nasty, nasty, (format, message, value) => {
      const { log, lines } = record({ format })
      log.info(message, { value, list: [value] })
      const line = lines[0] ?? ''
      assert.equal(line.indexOf('\n'), line.length - 1)
      assert.doesNotMatch(line.slice(0, -1), /[\p{Cc}\u2028\u2029\u202e]/u)
      if (format === 'json') assert.partialDeepStrictEqual(JSON.parse(line), { message: message.toWellFormed() })
    }),
  )
})
