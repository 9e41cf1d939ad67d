/**
 * The schedules on a store whose conditional removal looks first and then removes: what that may cost, and what it never does. docs/storage.md, "DELETE of what
 * may change". `SCHEDULES` says how many in all.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRandomChooser } from './choices.ts'
import { BrokenPromise, runSchedule } from './run-schedule.ts'
import { scenarios } from './scenarios.ts'

/** All have one cause: a tag or a manifest is replaced between the look and the removal of the one that was there. */
const allowed = [
  /P3: tag \S+ was acknowledged, and it is dead/,
  /P3: acknowledged manifest \S+ is gone/,
  /mixed outcome: manifest true, tag \S+ false/,
  /an immutable tag was moved/,
  // Of such a tag: it is empty, and the scrub's.
  /P4: a hint leads nowhere: named\/\S+\/tag\./,
  // Only of an index that was pushed with its entry in that moment.
  /P2: index \S+ of \S+ is readable, its entry is not/,
]

const each = Math.ceil(Number(process.env['SCHEDULES'] ?? 900) / scenarios.length)

describe(`${each} random schedules of each scenario, where the store looks first`, () => {
  let broken = 0
  let all = 0
  for (const scenario of scenarios) {
    it(scenario.name, async () => {
      for (let seed = 0; seed < each; seed++) {
        all++
        try {
          await runSchedule(scenario, createRandomChooser(seed), { removal: 'looks first' })
        } catch (error) {
          if (!(error instanceof BrokenPromise && allowed.some((one) => one.test(error.message)))) {
            throw new Error(`SCHEDULE=${seed} repeats this`, { cause: error })
          }
          broken++
        }
      }
    })
  }

  it('costs what it may in few of them', (t) => {
    t.diagnostic(`${broken} of ${all}`)
    assert.ok(broken < all / 100)
    // Else the store does not look first at all.
    assert.ok(broken > 0 || each < 10)
  })
})
