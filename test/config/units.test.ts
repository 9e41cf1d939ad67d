import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { formatSize, parseDuration, parseSize } from '../../src/config/units.ts'

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const sizeUnits = { B: 1, KiB: 1024, MiB: 1_048_576, GiB: 1_073_741_824, TiB: 1_099_511_627_776 }

for (const [what, parse, units] of [
  ['duration', parseDuration, durationUnits],
  ['size', parseSize, sizeUnits],
] as const) {
  test(`a ${what} is its number times its unit`, () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(...Object.entries(units)), (amount, [unit, factor]) => {
        const expected = amount * factor
        assert.equal(parse(`${amount}${unit}`), Number.isSafeInteger(expected) ? expected : undefined)
      }),
    )
  })

  test(`whatever is not a whole number and a unit is no ${what}`, () => {
    const isOne = (text: string) => /^\d+[A-Za-z]+$/.test(text)
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }).filter((text) => !isOne(text)),
        (text) => {
          assert.equal(parse(text), undefined)
        },
      ),
    )
    for (const text of [
      '',
      '60',
      '1.5h',
      '-1s',
      '1h30m',
      ' 1s',
      '1s ',
      '1 s',
      '1S',
      '1kb',
      '1MB',
      '1constructor',
      '9999999999999999d',
    ]) {
      assert.equal(parse(text), undefined, text)
    }
  })
}

test('a size is written in the largest unit that leaves a whole number', () => {
  for (const [bytes, written] of [
    [1, '1B'],
    [1025, '1025B'],
    [8_388_608, '8MiB'],
    [1_099_511_627_776, '1TiB'],
  ] as const) {
    assert.equal(formatSize(bytes), written)
  }
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => assert.equal(parseSize(formatSize(bytes)), bytes)))
})
