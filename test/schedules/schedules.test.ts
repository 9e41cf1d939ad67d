/**
 * P1 to P4 under random schedules of the real registry and sweep. `SCHEDULES` says how many in all; the seed of a failure is in its message, and
 * `SCHEDULE=<seed>` repeats just that one.
 */
import { describe, it } from 'node:test'
import { createRandomChooser } from './choices.ts'
import { runSchedule } from './run-schedule.ts'
import { scenarios } from './scenarios.ts'

const all = Number(process.env['SCHEDULES'] ?? 900)
const only = process.env['SCHEDULE']
const each = Math.ceil(all / scenarios.length)
const seeds = only === undefined ? Array.from({ length: each }, (_, i) => i) : [Number(only)]

describe(`${seeds.length} random schedules of each of ${scenarios.length} scenarios`, () => {
  for (const scenario of scenarios) {
    it(scenario.name, async () => {
      for (const seed of seeds) {
        try {
          await runSchedule(scenario, createRandomChooser(seed))
        } catch (error) {
          throw new Error(`SCHEDULE=${seed} repeats this`, { cause: error })
        }
      }
    })
  }
})
