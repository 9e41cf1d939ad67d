/** What a mixed load calls growth. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createChart, findGrowth, growth, type Sample } from './chart.ts'
import type { Kind } from './processes.ts'

const mebibyte = 1024 * 1024

const sampleOf = (bytes: Partial<Record<Kind, number>>, files = 20): Sample => ({
  processes: (['server', 'worker', 'sweeper'] as const).map((kind) => ({
    kind,
    bytes: bytes[kind] ?? 50 * mebibyte,
    files,
  })),
})

const minutes = 30
const rests = { before: sampleOf({}), after: sampleOf({}) }
const samplesOf = (workerBytes: (part: number) => number): readonly Sample[] =>
  Array.from({ length: minutes * 60 }, (_, second) => sampleOf({ worker: workerBytes(second / (minutes * 60)) }))

test('memory that rises at first, and goes up and down, has not grown', () => {
  const saw = (part: number): number => 60 * mebibyte + ((part * 200) % 1) * 30 * mebibyte
  assert.deepEqual(
    findGrowth(
      samplesOf((part) => Math.min(part * 4, 1) * saw(part)),
      rests,
    ),
    [],
  )
})

test('memory of one kind of process that goes on rising has grown', () => {
  const rise = 3.5 * growth.bytesPerProcess
  const grown = findGrowth(
    samplesOf((part) => 60 * mebibyte + part * rise),
    rests,
  )
  assert.equal(grown.length, 1)
  assert.match(grown[0] ?? '', /^memory of 1 × worker: 88 MiB, then 107 MiB$/)
})

test('files that are open at rest afterwards have grown', () => {
  const samples = samplesOf(() => 60 * mebibyte)
  assert.deepEqual(findGrowth(samples, { ...rests, after: sampleOf({}, 22) }), [])
  const [first, ...others] = findGrowth(samples, { ...rests, after: sampleOf({}, 23) })
  assert.equal(first, 'open files of 1 × server at rest: 20 before, 23 after')
  assert.equal(others.length, 2)
})

test('a row a minute has what was done within it', () => {
  let nowMs = 0
  const chart = createChart(() => nowMs)
  chart.countDone('pull')
  chart.countAnswer(200, 3 * mebibyte)
  chart.addSample(sampleOf({ worker: 70 * mebibyte }))
  nowMs = 60_000
  chart.countDone('push')
  chart.countAnswer(503, 0)
  chart.addSample(sampleOf({}, 30))
  const [, ...rows] = chart.render().map((row) => row.trim().split(/ {2,}/))
  assert.deepEqual(rows, [
    ['1', '1', '0', '1', '0', '0', '3', '170', '50 + 70 + 50', '170', '60'],
    ['2', '0', '1', '0', '0', '1', '0', '150', '50 + 50 + 50', '150', '90'],
  ])
  assert.deepEqual(
    [...chart.answers],
    [
      [200, 1],
      [503, 1],
    ],
  )
})
