/**
 * The sweep, retention and the scrub beside `berth serve`: in a process of its own, of low priority, so that no request waits for it. A store in memory
 * cannot be shared and is swept in the server's process.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createLogger } from '../telemetry/logger.ts'
import { openInBackground } from './background.ts'
import { type Command, configOption, type Given, type Surroundings } from './command.ts'
import { configArguments, loadGivenConfig } from './config.ts'
import { createConfiguredRetention, createConfiguredSweep } from './configured.ts'
import type { Store } from './open-store.ts'
import { configureScrubs } from './scrub.ts'
import { isScrubRun, recordScrub, type ScrubRun, scrubRepeatedly } from './scrub-loop.ts'
import { type Run, runRepeatedly } from './sweep-loop.ts'

/** How long to wait before a sweeper that died is started again, in ms; doubled each time up to the interval. */
const firstRestartMs = 1000

/** A run of either kind, as it is told by the process beside. */
export type HousekeepingRun = Run<object> & { readonly kind: 'sweep' | 'retention' }

const clocks = {
  sleep: (ms: number, cancel: AbortSignal) => sleep(ms, undefined, { signal: cancel }),
  monotonicMs: () => performance.now(),
  random: Math.random,
}

function keepSweepingStore(
  config: Config,
  store: Store,
  onRun: (run: HousekeepingRun) => void,
  signal: AbortSignal,
): Promise<void> {
  const sweep = createConfiguredSweep(config, store)
  const loop = {
    ...clocks,
    run: (options: { readonly signal: AbortSignal }) => sweep.run('sweep', options),
    intervalMs: config.sweep.intervalMs,
    onRun: (run: Run<object>) => onRun({ ...run, kind: 'sweep' }),
  }
  return runRepeatedly(loop, signal)
}

function keepRetaining(
  config: Config,
  store: Store,
  onRun: (run: HousekeepingRun) => void,
  signal: AbortSignal,
): Promise<void> {
  const retention = createConfiguredRetention(config, store)
  const loop = {
    ...clocks,
    run: (options: { readonly signal: AbortSignal }) => retention.run('remove', options),
    intervalMs: config.retention.intervalMs,
    onRun: (run: Run<object>) => onRun({ ...run, kind: 'retention' }),
  }
  return runRepeatedly(loop, signal)
}

/** Sweeps, applies the retention rules and scrubs, whichever is configured. */
async function runLoops(
  config: Config,
  store: Store,
  onRun: (run: HousekeepingRun | ScrubRun) => void,
  signal: AbortSignal,
): Promise<void> {
  const hasRules = config.retention.rules.length > 0
  await Promise.all([
    config.sweep.enabled && keepSweepingStore(config, store, onRun, signal),
    config.sweep.enabled && hasRules && keepRetaining(config, store, onRun, signal),
    config.scrub.enabled && scrubRepeatedly(configureScrubs(config, store, onRun), signal),
  ])
}

/** The process beside the server; it tells its parent of every run and ends with it. */
export const sweeperCommand: Command = {
  name: 'sweeper',
  summary: 'sweep for a server that started this',
  isInternal: true,
  options: configOption,
  run: async (given, surroundings) => {
    const { config } = loadGivenConfig(given, surroundings)
    const log = createLogger({ level: 'warn', format: 'json', write: surroundings.err, now: () => new Date() })
    const stop = new AbortController()
    const forget = surroundings.onStop(() => stop.abort())
    surroundings.parent.onGone(() => stop.abort())
    const store = await openInBackground(config, surroundings, log)
    try {
      await runLoops(config, store, (run) => void surroundings.parent.tell(run), stop.signal)
    } finally {
      forget()
      await store.driver.close()
    }
  },
}

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
  if (config.storage.kind === 'memory') return runLoops(config, store, onRun, signal)
  const args = ['sweeper', ...configArguments(given)]
  let pauseMs = firstRestartMs
  while (!signal.aborted) {
    const reason = await surroundings.runBeside(args, onRun, signal)
    if (signal.aborted) return
    log.error('the sweeper ended; it is started again', { reason, afterMs: pauseMs })
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    pauseMs = Math.min(pauseMs * 2, config.sweep.intervalMs)
  }
}
