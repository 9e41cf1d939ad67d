import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { didYouMean, editDistance, suggest } from '../../src/config/suggest.ts'

test('the distance of two words is a metric with swaps, insertions, removals and replacements of length one', () => {
  assert.equal(editDistance('prot', 'port'), 1)
  assert.equal(editDistance('por', 'port'), 1)
  assert.equal(editDistance('portt', 'port'), 1)
  assert.equal(editDistance('pert', 'port'), 1)
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = editDistance(a, b)
      assert.equal(distance, editDistance(b, a))
      assert.equal(distance === 0, a === b)
      assert.ok(distance >= Math.abs(a.length - b.length) && distance <= Math.max(a.length, b.length))
    }),
  )
})

test('a near word is suggested, a far one is not', () => {
  assert.equal(suggest('sreve', ['serve', 'config']), 'serve')
  assert.equal(suggest('BERTH_HTTP_PROT', ['BERTH_HTTP_PORT', 'BERTH_LOG_LEVEL']), 'BERTH_HTTP_PORT')
  assert.equal(suggest('banana', ['serve', 'config']), undefined)
  assert.equal(suggest('', ['a']), undefined)
  assert.equal(didYouMean('Level', ['level']), '; did you mean level?')
  assert.equal(didYouMean('banana', ['level']), '')
})
