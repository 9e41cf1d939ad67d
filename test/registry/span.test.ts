import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseDuration } from '../../src/config/units.ts'
import { describeSetting, describeSpan } from '../../src/registry/span.ts'

test('a time that was set is told as a duration that means the same', () => {
  const units = fc.constantFrom('ms', 's', 'm', 'h', 'd')
  fc.assert(
    fc.property(fc.nat(100_000), units, (amount, unit) => {
      const ms = parseDuration(`${amount}${unit}`)
      assert.equal(parseDuration(describeSetting(ms ?? Number.NaN)), ms)
    }),
  )
  assert.deepEqual([3_600_000, 5_400_000, 0].map(describeSetting), ['1h', '90m', '0ms'])
})

test('a span that was measured is rounded down to its largest unit', () => {
  assert.deepEqual([5_400_000, 999, -1].map(describeSpan), ['1h', '999ms', '0ms'])
})
