/**
 * The proof proves something: each rule of the protocols switched off in the source must break a promise within the schedules that the random search runs.
 * Run by CI (`node --test test/schedules/mutants.proof.ts`); each mutant is a process of its own, because its source is changed as it is loaded.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { mutants } from './mutants.ts'

/** Schedules per mutant: as many as `SCHEDULES=20000` runs of some seven scenarios. */
const most = 3000

async function hunt(name: string): Promise<number> {
  const here = (file: string): string => join(import.meta.dirname, file)
  const args = ['--import', here('mutate.ts'), here('hunt.ts'), String(most)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, MUTANT: name } })
  return Number(stdout)
}

describe('without this rule a promise is broken', { concurrency: 2 }, () => {
  for (const { name } of mutants) {
    it(name, async (context) => {
      const schedules = await hunt(name)
      context.diagnostic(`after ${schedules} schedules`)
      assert.ok(schedules > 0, `${most} schedules did not notice`)
    })
  }
})
