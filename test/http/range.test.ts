import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatContentRange, parseRange } from '../../src/http/range.ts'
import { OciError } from '../../src/oci/errors.ts'

const size = 1000

function codeOf(header: string, of = size, maxRanges = 10): string {
  try {
    parseRange(header, of, maxRanges)
    return 'none'
  } catch (error) {
    return error instanceof OciError ? `${error.status} ${error.code}` : 'bug'
  }
}

const accepted: readonly (readonly [string, readonly (readonly [number, number])[]])[] = [
  ['bytes=0-0', [[0, 1]]],
  ['bytes=0-499', [[0, 500]]],
  ['bytes=500-', [[500, 1000]]],
  ['bytes=-1', [[999, 1000]]],
  ['bytes=-1000', [[0, 1000]]],
  ['bytes=-5000', [[0, 1000]]],
  ['bytes=900-5000', [[900, 1000]]],
  ['bytes=999-999999999999999999999', [[999, 1000]]],
  ['BYTES = 1-2', [[1, 3]]],
  [
    'bytes=1-2, 5-6 ,,8-8',
    [
      [1, 3],
      [5, 7],
      [8, 9],
    ],
  ],
  [
    'bytes=8-8,1-2',
    [
      [8, 9],
      [1, 3],
    ],
  ],
  ['bytes=1-2,5000-,-0', [[1, 3]]],
]

for (const [header, ranges] of accepted) {
  test(`a range header is read: ${header}`, () => {
    assert.deepEqual(
      parseRange(header, size, 10)?.map(({ start, end }) => [start, end]),
      ranges,
    )
  })
}

for (const header of ['lines=0-1', 'bytes', '', 'bytes 0-1', '=0-1']) {
  test(`what is not a range of bytes is ignored: "${header}"`, () => {
    assert.equal(parseRange(header, size, 10), undefined)
  })
}

const refused: readonly (readonly [string, string])[] = [
  ['bytes=1000-', '416 RANGE_INVALID'],
  ['bytes=-0', '416 RANGE_INVALID'],
  ['bytes=500-0', '416 RANGE_INVALID'],
  ['bytes=', '416 RANGE_INVALID'],
  ['bytes=,', '416 RANGE_INVALID'],
  ['bytes=a-b', '416 RANGE_INVALID'],
  ['bytes=1', '416 RANGE_INVALID'],
  ['bytes=-', '416 RANGE_INVALID'],
  ['bytes=--1', '416 RANGE_INVALID'],
  ['bytes=+1-2', '416 RANGE_INVALID'],
  ['bytes=0x1-2', '416 RANGE_INVALID'],
  ['bytes=1-2-3', '416 RANGE_INVALID'],
  ['bytes=1-2;5-6', '416 RANGE_INVALID'],
  [`bytes=${'0-0,'.repeat(11)}`, '400 REQUEST_INVALID'],
  ['bytes=0-,0-,0-', '400 REQUEST_INVALID'],
  ['bytes=0-600,400-', '400 REQUEST_INVALID'],
]

for (const [header, code] of refused) {
  test(`a range header is refused with ${code}: ${header.slice(0, 40)}`, () => assert.equal(codeOf(header), code))
}

test('no range of empty content can be satisfied', () => {
  for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) assert.equal(codeOf(header, 0), '416 RANGE_INVALID')
})

test('a refused range tells the size', () => {
  assert.throws(
    () => parseRange('bytes=5000-', size, 10),
    (error) => error instanceof OciError && error.headers['Content-Range'] === 'bytes */1000',
  )
})

test('whatever the header, ranges lie within the content and never add up to more than it', () => {
  const number = fc.oneof(fc.nat(2000), fc.constant(''))
  const spec = fc.tuple(number, fc.constantFrom('-', '-', '--', ''), number).map((parts) => parts.join(''))
  const header = fc.oneof(
    fc.string(),
    fc.array(spec).map((specs) => `bytes=${specs.join(',')}`),
  )
  fc.assert(
    fc.property(header, fc.nat(1500), (text, total) => {
      let ranges
      try {
        ranges = parseRange(text, total, 5)
      } catch (error) {
        assert.ok(error instanceof OciError)
        return
      }
      if (ranges === undefined) return
      assert.ok(ranges.length >= 1 && ranges.length <= 5)
      let sum = 0
      for (const { start, end } of ranges) {
        assert.ok(start >= 0 && start < end && end <= total)
        sum += end - start
      }
      assert.ok(sum <= total)
    }),
  )
})

test('Content-Range names the last byte, not the one behind it', () => {
  assert.equal(formatContentRange({ start: 10, end: 20 }, 100), 'bytes 10-19/100')
})
