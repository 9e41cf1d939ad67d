/**
 * Has the store of a server swept: by a process beside it, which is started again when it dies, and whose runs are logged and counted here. A store in
 * memory cannot be shared and is swept in the server's process.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { keepBeside } from './beside.ts'
import type { Given, Surroundings } from './command.ts'
import { configArguments } from './config.ts'
import type { Store } from './open-store.ts'
import { isScrubRun, recordScrub } from './scrub-loop.ts'
import type { Run } from './sweep-loop.ts'

/** A run of either kind, as it is told by the process beside. */
export type HousekeepingRun = Run<object> & { readonly kind: 'sweep' | 'retention' }

function isRun(message: unknown): message is HousekeepingRun {
  if (typeof message !== 'object' || message === null || !('kind' in message)) return false
  return message.kind === 'sweep' || message.kind === 'retention'
}

const words = {
  sweep: { done: 'swept', failed: 'a sweep failed; the next one goes on' },
  retention: { done: 'retention rules applied', failed: 'a retention run failed; the next one goes on' },
} as const

/** Logs a run and counts it. */
export function recordRun(run: HousekeepingRun, log: Logger, metrics: Metrics): void {
  const durationMs = Math.round(run.seconds * 1000)
  if (run.kind === 'sweep') metrics.recordSweep(run)
  else metrics.recordRetention(run)
  const { done, failed } = words[run.kind]
  const isIdle = run.outcome === 'done' && Object.values(run.counts).every((count) => count === 0)
  if (run.outcome === 'done') log[isIdle ? 'debug' : 'info'](done, { ...run.counts, durationMs })
  else log.warn(failed, { reason: run.reason, durationMs })
}

interface Sweeping {
  readonly config: Config
  readonly given: Given
  readonly store: Store
  readonly surroundings: Surroundings
  readonly log: Logger
  readonly metrics: Metrics
}

/** Sweeps until the signal; resolves when nothing of it runs any more. */
export async function keepSweeping(sweeping: Sweeping, signal: AbortSignal): Promise<void> {
  const { config, given, store, surroundings, log, metrics } = sweeping
  if (!config.sweep.enabled && !config.scrub.enabled) return
  const onRun = (run: unknown): void => {
    if (isScrubRun(run)) recordScrub(run, log, metrics)
    else if (isRun(run)) recordRun(run, log, metrics)
  }
  if (config.storage.kind === 'memory') {
    const { runLoops } = await import('./sweeper.ts')
    return runLoops(config, store, onRun, signal)
  }
  await keepBeside(
    {
      runBeside: surroundings.runBeside,
      args: ['sweeper', ...configArguments(given)],
      onMessage: onRun,
      log,
      monotonicMs: () => performance.now(),
      sleep: (ms, cancel) => sleep(ms, undefined, { signal: cancel }),
      maxPauseMs: config.sweep.intervalMs,
    },
    signal,
  )
}
