/** Sweep, retention and scrub as the configuration has them. */
import type { Config } from '../config/schema.ts'
import { createRetention, type Retention } from '../registry/retention/retention.ts'
import { compileRules, type FindRules } from '../registry/retention/rules.ts'
import { createSweep, type Sweep, type SweepDependencies } from '../registry/sweep/sweep.ts'
import { configureRegistry } from './configured.ts'
import type { Store } from './open-store.ts'

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
