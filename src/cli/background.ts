/** Work that nobody waits for: it leaves the processor to those who are waited for. */
import type { Config } from '../config/schema.ts'
import { createYieldingDriver } from '../storage/yielding.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Priority, Surroundings } from './command.ts'
import { openStore, type Store } from './open-store.ts'

/** The most of a processor where others have to wait for the end of our turns: they should come often. */
const maxShareOfLow = 0.9

/** Between two pauses, in ms. What is idle by policy may be asked more seldom, because asking takes as long as a call; each 5 ms seemed too seldom (decision 18). */
const runMsOf: Readonly<Record<Priority, number>> = { idle: 1, low: 0.5 }

/** How much of one processor may be used, 1 is all of it. */
export function shareOf(percent: number, priority: Priority): number {
  return priority === 'idle' ? percent / 100 : Math.min(percent / 100, maxShareOfLow)
}

/** A store, and the priority that this process has from now on. */
export interface BackgroundStore extends Store {
  readonly priority: Priority
}

/** Opens the store for work in this process, whose priority is lowered for good, below the configured share of a processor. */
export async function openInBackground(
  config: Config,
  { background }: Surroundings,
  log: Logger,
  to: Priority,
): Promise<BackgroundStore> {
  // First, so that threads that are started for the store have it, too.
  const priority = background.lowerPriority(to)
  const store = await openStore(config, log, { isBackground: true })
  const share = shareOf(config.sweep.processorPercent, priority)
  const runMs = runMsOf[priority]
  const elapsedMs = (): number => performance.now()
  return { ...store, priority, driver: createYieldingDriver(store.driver, { ...background, share, runMs, elapsedMs }) }
}
