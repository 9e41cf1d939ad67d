/** The whole probe of a store: every step in its turn, and everything that was written is removed again, however it ends. */
import type { Driver, KeySpace } from '../driver.ts'
import { byteSteps } from './bytes.ts'
import { listSteps } from './lists.ts'
import { raceSteps } from './races.ts'
import { type Answer, failed, notTried, ok, type Scratch, type Step, type StoreProbe, warning } from './step.ts'
import { firstSteps, valueSteps } from './values.ts'

export interface ProbeOptions {
  readonly driver: Driver
  readonly keySpace: KeySpace
  /** The plain prefix where the probe may write. */
  readonly scratchPrefix: string
  readonly createId: () => string
  readonly now: () => number
  readonly elapsedMs: () => number
  readonly signal: AbortSignal
}

const cleanName = 'everything is removed again'

function allSteps({ steps, partBytes }: StoreProbe): readonly Step[] {
  return [...firstSteps, ...valueSteps, ...raceSteps, ...listSteps, ...byteSteps(partBytes), ...steps]
}

/** The names of all steps, in their order. */
export function namesOf(probe: StoreProbe): readonly string[] {
  return [...allSteps(probe).map(({ name }) => name), cleanName]
}

/** Tries everything; `report` is told of each step when it has ended. Never rejects for what a store does. */
export async function runProbe(
  probe: StoreProbe,
  options: ProbeOptions,
  report: (name: string, answer: Answer) => void,
): Promise<void> {
  const prefix = `${options.scratchPrefix}${options.createId()}/`
  const keys = new Set<string>()
  const key = (name = options.createId()): string => {
    keys.add(prefix + name)
    return prefix + name
  }
  const scratch = { ...options, prefix, key }
  let hasEnded = false
  for (const step of allSteps(probe)) {
    const answer: Answer = hasEnded || options.signal.aborted ? notTried('') : await runStep(step, scratch)
    report(step.name, answer)
    hasEnded ||= step.weight === 'first' && answer.outcome === 'failed'
  }
  report(cleanName, await cleanUp(probe, scratch, keys))
}

async function runStep({ run, weight }: Step, scratch: Scratch): Promise<Answer> {
  try {
    const answer = await run(scratch)
    return answer.outcome === 'failed' && weight === 'wished' ? warning(answer.said) : answer
  } catch (error) {
    if (scratch.signal.aborted) return notTried('stopped')
    const said = error instanceof Error ? error.message : String(error)
    return weight === 'wished' ? warning(said) : failed(said)
  }
}

/** How many are removed at once. */
const width = 16

async function cleanUp(
  { cleanUp: cleanHidden }: StoreProbe,
  scratch: Scratch,
  keys: ReadonlySet<string>,
): Promise<Answer> {
  const { driver, prefix } = scratch
  try {
    // Every key that a step may have written, since a list may be what is wrong.
    const waiting = [...keys]
    while (waiting.length > 0) await Promise.all(waiting.splice(0, width).map((key) => driver.remove(key)))
    const hidden = await cleanHidden(prefix)
    const { entries } = await driver.list(prefix, { limit: 1000 })
    if (entries.length + hidden === 0) return ok(`${keys.size} keys`)
    return failed(`${entries.length} keys and ${hidden} uploads stay below ${prefix}: remove them by hand`)
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    return failed(`${said}: remove by hand what is below ${prefix}`)
  }
}
