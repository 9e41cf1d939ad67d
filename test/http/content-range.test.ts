import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatUploadRange, parseContentRange } from '../../src/http/content-range.ts'
import { OciError } from '../../src/oci/errors.ts'

test('Content-Range of a chunk is first-last without a unit', () => {
  assert.deepEqual(parseContentRange('0-99'), { start: 0, end: 100 })
  assert.deepEqual(parseContentRange('100-100'), { start: 100, end: 101 })
})

const malformed = [
  '',
  '-',
  '5',
  '5-',
  '-5',
  '9-5',
  'bytes 0-99/100',
  'bytes=0-99',
  '0-99/100',
  '0 - 9',
  '1e3-2e3',
  '0-9007199254740992',
  '-1-5',
  '٣-٤',
]
for (const header of malformed) {
  test(`a malformed Content-Range is BLOB_UPLOAD_INVALID: "${header}"`, () => {
    assert.throws(
      () => parseContentRange(header),
      (error) => error instanceof OciError && error.code === 'BLOB_UPLOAD_INVALID',
    )
  })
}

test('Content-Range: what is accepted is what was written', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
      const [first, last] = a < b ? [a, b] : [b, a]
      if (last === Number.MAX_SAFE_INTEGER) return
      assert.deepEqual(parseContentRange(`${first}-${last}`), { start: first, end: last + 1 })
    }),
  )
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const { start, end } = parseContentRange(text)
        assert.ok(start >= 0 && start < end && Number.isSafeInteger(end))
      } catch (error) {
        assert.ok(error instanceof OciError)
      }
    }),
  )
})

test('Range of an upload ends at the last byte that is there, and at 0 for none', () => {
  assert.equal(formatUploadRange(0), '0-0')
  assert.equal(formatUploadRange(1), '0-0')
  assert.equal(formatUploadRange(100), '0-99')
})
