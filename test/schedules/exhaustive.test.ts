/**
 * Small cases completely: every schedule in which running processes are interrupted at most so often, with kills and jumps of time at every step where the
 * scenario allows them. `INTERRUPTIONS` is the bound; a failure says the choices that repeat it.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createListedChooser, exhaust } from './choices.ts'
import { runSchedule } from './run-schedule.ts'
import { scenarios } from './scenarios.ts'

const bound = Number(process.env['INTERRUPTIONS'] ?? 0)

describe(`all schedules with at most ${bound} interruptions`, () => {
  for (const scenario of scenarios.filter(({ isSmall }) => isSmall)) {
    it(scenario.name, async (context) => {
      const runs = await exhaust(bound, async (choices) => {
        const chooser = createListedChooser(choices)
        try {
          await runSchedule(scenario, chooser)
        } catch (error) {
          throw new Error(`choices ${JSON.stringify(choices)}`, { cause: error })
        }
        return chooser.decisions
      })
      context.diagnostic(`${runs} schedules`)
      assert.ok(runs > 1)
    })
  }
})
