import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatNextLink, parsePageSize } from '../../src/http/pagination.ts'
import { OciError } from '../../src/oci/errors.ts'

const limits = { standard: 100, max: 1000 }

test('n: absent is the standard, more than the most is capped, 0 is 0', () => {
  assert.equal(parsePageSize(undefined, limits), 100)
  assert.equal(parsePageSize('7', limits), 7)
  assert.equal(parsePageSize('0', limits), 0)
  assert.equal(parsePageSize('1001', limits), 1000)
  assert.equal(parsePageSize('9'.repeat(400), limits), 1000)
})

for (const n of ['', '-1', '+1', '1.5', '1e3', '0x10', ' 1', 'ten', 'NaN', '١']) {
  test(`n is refused with PAGINATION_NUMBER_INVALID: "${n}"`, () => {
    assert.throws(
      () => parsePageSize(n, limits),
      (error) => error instanceof OciError && error.code === 'PAGINATION_NUMBER_INVALID',
    )
  })
}

test('n: whatever it is, a page has between 0 and the most entries', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.integer().map(String)), (n) => {
      try {
        const size = parsePageSize(n, limits)
        assert.ok(Number.isInteger(size) && size >= 0 && size <= limits.max)
      } catch (error) {
        assert.ok(error instanceof OciError)
      }
    }),
  )
})

test('Link is relative, escaped, and comes back as what it was', () => {
  const link = formatNextLink('/v2/a/tags/list', { n: '2', last: 'x&y=z' })
  assert.equal(link, '</v2/a/tags/list?n=2&last=x%26y%3Dz>; rel="next"')
  fc.assert(
    fc.property(fc.string(), (last) => {
      const url = /^<(.*)>; rel="next"$/.exec(formatNextLink('/p', { last }))?.[1]
      assert.equal(new URL(url ?? '', 'http://h').searchParams.get('last'), last.toWellFormed())
    }),
  )
})
