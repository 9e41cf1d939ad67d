/** The registry as the configuration has it. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import type { Context } from '../registry/context.ts'
import { meterDriver } from '../storage/metered.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createImmutableTags } from '../registry/immutable.ts'
import type { Store } from './open-store.ts'

/** What every part of the registry works with. */
export function configureRegistry({ registry, sweep }: Config, { driver }: Store): Context {
  return {
    driver,
    limits: { ...registry, pushIdleMs: sweep.pushIdleMs },
    immutableTags: createImmutableTags(registry.immutableTags, 'registry.immutableTags'),
    createId: randomUUID,
    now: Date.now,
    sleep: (ms, signal) => sleep(ms, undefined, { signal }),
  }
}

/** The same, with what requests do counted. */
export function configureMeteredRegistry(config: Config, store: Store, metrics: Metrics): Context {
  const driver = meterDriver(store.driver, metrics.meterStorage(config.storage.kind), () => performance.now())
  return { ...configureRegistry(config, { ...store, driver }), count: (event) => metrics.countEvent(event) }
}
