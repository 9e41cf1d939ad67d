import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toSample } from './operation.ts'
import { median, medianInterval, quantile } from './statistics.ts'
import { type Medians, renderHead, renderRows, type Results, summarise } from './table.ts'
import { renderLimits, renderVerdicts } from './targets.ts'

const mebibyte = 1024 * 1024
const of = (speed: number, cpuSeconds: number, p99Ms?: number): Medians => ({
  speed,
  cpuSeconds,
  p99Ms,
  peakBytes: 100 * mebibyte,
})
const results: Results = new Map([
  ['berth', of(5000, 0.0001, 2)],
  ['docker-registry', of(2000, 0.0005, 8)],
])
const operation = { id: 'one', name: 'an operation', unit: 'requests/s' } as const
const cellsOf = (line: string | undefined) => (line ?? '').split('|').map((cell) => cell.trim())

test('a row has the figures of a server and how Berth compares', () => {
  const [ours, theirs] = renderRows(operation, results).split('\n')
  assert.deepEqual(cellsOf(ours), ['', 'an operation', 'berth', '5,000 requests/s', '2.0', '100 µs', '100', '', '', ''])
  assert.deepEqual(cellsOf(theirs).slice(1, -1), [
    '',
    'docker-registry',
    '2,000 requests/s',
    '8.0',
    '500 µs',
    '100',
    '2.50',
    '0.20',
  ])
  const head = renderHead('Group').split('\n').slice(3)
  for (const line of head) assert.equal(line.length, ours?.length)
})

test('what counts is the median of the rounds, and of memory the most', () => {
  const samples = [1, 9, 2].map((n) => ({ speed: n, cpuSeconds: n, peakBytes: n, p99Ms: n }))
  assert.deepEqual(summarise(samples), { speed: 2, cpuSeconds: 2, peakBytes: 9, p99Ms: 2 })
  assert.equal(median([4, 1]), 2.5)
  assert.equal(
    quantile(
      Array.from({ length: 200 }, (_, i) => i + 1),
      0.99,
    ),
    198,
  )
})

test('how far a median is from the true one is said of six values or more', () => {
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1)
  assert.equal(medianInterval(upTo(5)), undefined)
  assert.equal(medianInterval([6, 1, 5, 2, 4, 3]), 2.5)
  // The 41st and the 60th: 41 to 59 of a hundred throws of a coin are heads in 94 of 100 cases.
  assert.equal(medianInterval(upTo(100)), 9.5)
})

test('a start is a time, bytes have their CPU for a GiB', () => {
  const used = { cpuSeconds: 2, peakBytes: 0 }
  assert.equal(toSample('ms', { amount: 1, seconds: 0.5 }, used).speed, 500)
  const { speed, cpuSeconds } = toSample('MiB/s', { amount: 512, seconds: 2 }, used)
  assert.deepEqual({ speed, cpuSeconds }, { speed: 256, cpuSeconds: 4 })
})

test('a target holds or not, and those that were not measured are counted', () => {
  const by = { server: 'docker-registry' } as const
  const text = renderVerdicts(
    [
      { operation: 'one', figure: 'cpuSeconds', by, bound: 'at most', value: 0.3 },
      { operation: 'one', figure: 'speed', by, bound: 'at least', value: 3 },
      { operation: 'one', figure: 'speed', bound: 'at least', value: 5000 },
      { operation: 'one', figure: 'speed', by: { server: 'nginx' }, bound: 'at least', value: 1 },
      { operation: 'two', figure: 'speed', by, bound: 'at least', value: 3 },
    ],
    [{ operation, results }],
  )
  assert.deepEqual(text.trim().split('\n'), [
    '## Targets: 2 of 3 hold; 2 not measured in this run',
    '',
    '- an operation: CPU ÷ docker-registry: target at most 0.3, measured 0.20: holds',
    '- an operation: speed ÷ docker-registry: target at least 3, measured 2.50: DOES NOT HOLD',
    '- an operation: speed (requests/s): target at least 5000, measured 5000: holds',
  ])
})

test('a server that does nothing and is hardly faster than Berth raises a doubt', () => {
  const withNull = (speed: number): Results => new Map([...results, ['null (nginx)', of(speed, 0)]])
  assert.match(renderLimits([{ operation, results: withNull(5500) }]), /1\.1 times Berth: TOO CLOSE/)
  assert.match(renderLimits([{ operation, results: withNull(50_000) }]), /10\.0 times Berth\n/)
})
