/** The registry and its housekeeping as the configuration has them. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import type { Context } from '../registry/context.ts'
import { meterDriver } from '../storage/metered.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createImmutableTags } from '../registry/immutable.ts'
import { createRetention, type Retention } from '../registry/retention/retention.ts'
import { compileRules, type FindRules } from '../registry/retention/rules.ts'
import { createSweep, type Sweep, type SweepDependencies } from '../registry/sweep/sweep.ts'
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

function compileConfiguredRules({ retention }: Config): FindRules {
  return compileRules(retention.rules, 'retention.rules')
}

/** What a sweep and a scrub work with. */
export function configureSweep(config: Config, store: Store): SweepDependencies {
  const findRules = compileConfiguredRules(config)
  return {
    ...configureRegistry(config, store),
    sweepLimits: config.sweep,
    tracksUntagged: (repository) => findRules(repository)?.untagged !== undefined,
    monotonicMs: () => performance.now(),
  }
}

export function createConfiguredSweep(config: Config, store: Store): Sweep {
  return createSweep(configureSweep(config, store))
}

export function createConfiguredRetention(config: Config, store: Store): Retention {
  return createRetention(configureRegistry(config, store), compileConfiguredRules(config))
}
