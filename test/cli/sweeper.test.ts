import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGiveBack } from '../../src/cli/sweeper.ts'

void test('memory is given back when a run has ended, and not again within half a minute', () => {
  let nowMs = 5
  const givenAt: number[] = []
  const giveBack = createGiveBack(
    {
      giveBack: () => {
        givenAt.push(nowMs)
        nowMs += 100
      },
    },
    () => nowMs,
  )
  giveBack()
  assert.deepEqual(givenAt, [5])
  nowMs = 30_104
  giveBack()
  assert.deepEqual(givenAt, [5], 'half a minute is counted from its end')
  nowMs = 30_105
  giveBack()
  assert.deepEqual(givenAt, [5, 30_105])
})
