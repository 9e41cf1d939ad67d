/** Work that nobody waits for: it leaves the processor to those who are waited for. */
import type { Config } from '../config/schema.ts'
import { createYieldingDriver } from '../storage/yielding.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Surroundings } from './command.ts'
import { openStore, type Store } from './open-store.ts'

/** The most of a processor where others have to wait for the end of our turns: they should come often. */
const maxShareOfLow = 0.9

/** How much of one processor may be used, 1 is all of it. */
export function shareOf(percent: number, priority: 'idle' | 'low'): number {
  return priority === 'idle' ? percent / 100 : Math.min(percent / 100, maxShareOfLow)
}

/** Opens the store for work in this process, whose priority is lowered for good, below the configured share of a processor. */
export async function openInBackground(config: Config, { background }: Surroundings, log: Logger): Promise<Store> {
  // First, so that threads that are started for the store have it, too.
  const priority = background.lowerPriority()
  const store = await openStore(config, log, { isBackground: true })
  const share = shareOf(config.sweep.processorPercent, priority)
  const elapsedMs = (): number => performance.now()
  return { ...store, driver: createYieldingDriver(store.driver, { ...background, share, elapsedMs }) }
}
