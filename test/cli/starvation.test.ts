import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createStarvationWatch } from '../../src/cli/starvation.ts'

/** A process that in one minute ran and waited for so many seconds. */
function isStarving(ranSeconds: number, waitedSeconds: number | undefined): boolean {
  let now = 0
  const at = (seconds: number): number => 1000 + (now / 60) * seconds
  const watch = createStarvationWatch({
    usedMs: () => at(ranSeconds * 1000),
    waitedMs: () => (waitedSeconds === undefined ? undefined : at(waitedSeconds * 1000)),
    elapsedMs: () => at(60_000),
  })
  now = 60
  return watch()
}

const processes: readonly (readonly [string, number, number | undefined, boolean])[] = [
  ['that got a twentieth of what it wanted', 3, 57, false],
  ['that got less', 2, 58, true],
  ['that got nothing', 0, 60, true],
  ['that hardly wanted to run', 0.1, 29, false],
  ['that did nothing', 0, 0, false],
  ['that nobody stood in the way of', 60, 0, false],
  ['whose kernel tells nothing', 0.1, undefined, false],
]

for (const [name, ran, waited, expected] of processes) {
  it(`a process ${name} ${expected ? 'starves' : 'does not starve'}`, () => {
    assert.equal(isStarving(ran, waited), expected)
  })
}

it('every window counts for itself', () => {
  let [ran, waited, now] = [0, 0, 0]
  const watch = createStarvationWatch({ usedMs: () => ran, waitedMs: () => waited, elapsedMs: () => now })
  ;[ran, waited, now] = [60_000, 0, 60_000]
  assert.equal(watch(), false)
  ;[ran, waited, now] = [60_000, 60_000, 120_000]
  assert.equal(watch(), true)
  ;[ran, waited, now] = [120_000, 60_000, 180_000]
  assert.equal(watch(), false)
})
