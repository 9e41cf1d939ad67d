import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createGiveBack } from '../../src/cli/sweeper.ts'
import { startRun } from './surroundings.ts'

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

void test('the process beside a server does so when a sweep has ended', async () => {
  const root = await mkdtemp(join(tmpdir(), 'berth-sweeper-'))
  const given = Promise.withResolvers<void>()
  const { done, err, stop } = startRun(['sweeper'], {
    environment: { BERTH_STORAGE_FILESYSTEM_ROOT: root, BERTH_SWEEP_INTERVAL: '1s' },
    giveBack: given.resolve,
  })
  void done.then((code) => given.reject(new Error(`it ended with ${code}: ${err()}`)))
  await given.promise
  stop()
  assert.equal(await done, 0)
  await rm(root, { recursive: true })
})
