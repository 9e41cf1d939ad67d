/** Searches random schedules until a promise is broken: `hunt.ts <schedules>`, under `mutate.ts`. Prints the number of schedules it took, or 0. */
import { createRandomChooser } from './choices.ts'
import { mutants } from './mutants.ts'
import { BrokenPromise, runSchedule } from './run-schedule.ts'
import { scenarios } from './scenarios.ts'

const mutant = mutants.find(({ name }) => name === process.env['MUTANT'])
const most = Number(process.argv[2])
const searched = scenarios.filter(({ name }) => mutant?.scenarios.some((part) => name.includes(part)))
if (mutant === undefined || searched.length === 0) throw new Error('MUTANT must name a mutant that has scenarios')

async function hunt(): Promise<number> {
  for (let seed = 0; seed < most; seed++) {
    const scenario = searched[seed % searched.length]
    if (scenario === undefined) break
    try {
      await runSchedule(scenario, createRandomChooser(seed), { defect: mutant?.defect, removal: mutant?.removal })
    } catch (error) {
      if (!(error instanceof BrokenPromise)) throw error
      console.error(error.message)
      return seed + 1
    }
  }
  return 0
}

console.log(await hunt())
