import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameParts } from '../../src/http/multipart.ts'

test('the frame of two parts is that of RFC 9110 §14.6', () => {
  const { contentType, heads, tail } = frameParts(
    [
      { start: 0, end: 2 },
      { start: 5, end: 6 },
    ],
    10,
    'text/plain',
    'B',
  )
  assert.equal(contentType, 'multipart/byteranges; boundary=B')
  assert.deepEqual(heads.map(String), [
    '--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n',
    '\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n',
  ])
  assert.equal(String(tail), '\r\n--B--\r\n')
})

test('the length of the frame is exactly what is written', () => {
  const range = fc.tuple(fc.nat(500), fc.integer({ min: 1, max: 500 })).map(([start, n]) => ({ start, end: start + n }))
  fc.assert(
    fc.property(fc.array(range, { minLength: 1 }), (ranges) => {
      const { contentLength, heads, tail } = frameParts(ranges, 1000, 'application/octet-stream', 'boundary')
      const written = ranges.reduce((sum, { start, end }, i) => sum + (heads[i]?.length ?? 0) + (end - start), 0)
      assert.equal(contentLength, written + tail.length)
    }),
  )
})
