/** Work that nobody waits for: it leaves the processor to those who are waited for. */
import type { Config } from '../config/schema.ts'
import { createYieldingDriver } from '../storage/yielding.ts'
import type { Surroundings } from './command.ts'
import type { Store } from './open-store.ts'

/** Lowers the priority of this process for good, and keeps its work on the store below the configured share of a processor. */
export function stepBack(store: Store, { sweep }: Config, { background }: Surroundings): Store {
  background.lowerPriority()
  const share = sweep.processorPercent / 100
  const elapsedMs = (): number => performance.now()
  return { ...store, driver: createYieldingDriver(store.driver, { ...background, share, elapsedMs }) }
}
