/** Runs one schedule of one scenario and throws, with the whole trail, when a promise was broken. */
import type { Chooser } from './choices.ts'
import { createFacts } from './facts.ts'
import { checkLeftovers, checkStep, checkTags } from './promises.ts'
import type { Scenario } from './scenarios/preparation.ts'
import { createSimulation, type SimulationOptions } from './simulation.ts'

export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise'
}

export async function runSchedule(
  scenario: Scenario,
  chooser: Chooser,
  { defect, openStore, removal = scenario.removal }: Pick<SimulationOptions, 'defect' | 'openStore' | 'removal'> = {},
): Promise<void> {
  const facts = createFacts()
  const simulation = createSimulation({ ...scenario, chooser, defect, openStore, removal })
  await scenario.start(simulation, facts)
  const trail: string[] = []
  try {
    const { kills, jumps } = await simulation.run(() => checkStep(simulation, facts), trail)
    await checkStep(simulation, facts)
    await checkTags(simulation, facts, kills)
    await checkLeftovers(simulation, kills + jumps > 0 ? 'disturbed' : 'quiet')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new BrokenPromise(`${scenario.name}: ${reason}\n  ${trail.join('\n  ')}`, { cause: error })
  }
}
