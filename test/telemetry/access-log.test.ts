import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAccessLog, type RequestLine } from '../../src/telemetry/access-log.ts'

const line: RequestLine = { method: 'GET', route: 'end-3', status: 200 }

/** The lines that are written of requests, the draws being what they are. */
function written(sampleRequests: number, draws: readonly number[], requests: readonly RequestLine[]): unknown[] {
  const lines: unknown[] = []
  const rest = [...draws]
  const add = (message: string, fields = {}): void => void lines.push({ message, ...fields })
  const log = { info: add, debug: add }
  const accessLog = createAccessLog({
    log,
    sampleRequests,
    random: () => rest.shift() ?? assert.fail('a draw too many'),
  })
  for (const request of requests) accessLog.request(request)
  return lines
}

test('every request has a line by default, and nothing is drawn', () => {
  assert.deepEqual(written(1, [], [line]), [{ message: 'request', ...line }])
})

test('one in four of what went well', () => {
  const requests = ['a', 'b', 'c', 'd'].map((requestId) => Object.assign({ requestId }, line))
  assert.deepEqual(written(4, [0.25, 0.2499, 0.99, 0], requests), [
    { message: 'request', ...line, requestId: 'b' },
    { message: 'request', ...line, requestId: 'd' },
  ])
})

test('what did not go well always has one, sampled or off', () => {
  const failures: RequestLine[] = [
    { ...line, status: 404 },
    { ...line, status: 500 },
    { ...line, status: 499 },
    { ...line, aborted: true },
  ]
  for (const n of [0, 100]) assert.equal(written(n, [], failures).length, failures.length)
  assert.deepEqual(written(0, [], [line]), [])
})

test('a request for which nobody could act is for those who look closely', () => {
  const levels: string[] = []
  const log = { info: () => void levels.push('info'), debug: () => void levels.push('debug') }
  const accessLog = createAccessLog({ log, sampleRequests: 1, random: Math.random })
  accessLog.request(line, 'debug')
  accessLog.request(line)
  assert.deepEqual(levels, ['debug', 'info'])
})
