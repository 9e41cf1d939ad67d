import assert from 'node:assert/strict'
import { it } from 'node:test'
import { shareOf } from '../../src/cli/background.ts'

it('what is merely given less never uses all of a processor: others would wait for the end of its turns', () => {
  assert.deepEqual(
    [30, 90, 150].map((percent) => [shareOf(percent, 'idle'), shareOf(percent, 'low')]),
    [
      [0.3, 0.3],
      [0.9, 0.9],
      [1.5, 0.9],
    ],
  )
})
