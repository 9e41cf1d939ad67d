/** The sweep, retention and the scrub beside `berth serve`: in a process of its own, so that no request waits for it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import { createLogger } from '../telemetry/logger.ts'
import { openInBackground } from './background.ts'
import type { Background, Given, Surroundings } from './command.ts'
import { loadGivenConfig } from './config.ts'
import { createConfiguredRetention, createConfiguredSweep } from './housekeeping.ts'
import type { HousekeepingRun } from './keep-sweeping.ts'
import type { Store } from './open-store.ts'
import { configureScrubs } from './scrub.ts'
import { type ScrubRun, scrubRepeatedly } from './scrub-loop.ts'
import { createStarvationWatch, starvationWindowMs, starved } from './starvation.ts'
import { type Run, runRepeatedly } from './sweep-loop.ts'

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
export async function runLoops(
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

/** Between two times that memory is given back, ms: a run may be over in no time, and this is not. */
const giveBackEveryMs = 30_000

/** Gives memory back when a run has ended: what a heap has once grown to, it keeps for as long as the process has work (decision 21). */
export function createGiveBack({ giveBack }: Pick<Background, 'giveBack'>, monotonicMs: () => number): () => void {
  let lastMs = -Infinity
  return () => {
    if (monotonicMs() - lastMs < giveBackEveryMs) return
    giveBack()
    lastMs = monotonicMs()
  }
}

/** Looks whether this process starves until the signal, and tells its parent, which has it replaced. */
async function watchForStarvation({ background, parent }: Surroundings, signal: AbortSignal): Promise<void> {
  const isStarving = createStarvationWatch({ ...background, elapsedMs: clocks.monotonicMs })
  for (;;) {
    try {
      await clocks.sleep(starvationWindowMs, signal)
    } catch {
      return
    }
    if (isStarving()) await parent.tell(starved)
  }
}

/** The process beside the server; it tells its parent of every run and ends with it. */
export async function sweeper(given: Given, surroundings: Surroundings): Promise<void> {
  const { config } = loadGivenConfig(given, surroundings)
  const log = createLogger({ level: 'warn', format: 'json', write: surroundings.err, now: () => new Date() })
  const stop = new AbortController()
  const forget = surroundings.onStop(() => stop.abort())
  surroundings.parent.onGone(() => stop.abort())
  const to = given.options.has('low') ? 'low' : 'idle'
  const giveBack = createGiveBack(surroundings.background, clocks.monotonicMs)
  const { priority, ...store } = await openInBackground(config, surroundings, log, to)
  const onRun = (run: HousekeepingRun | ScrubRun): void => {
    void surroundings.parent.tell(run)
    giveBack()
  }
  try {
    await Promise.all([
      runLoops(config, store, onRun, stop.signal),
      priority === 'idle' && watchForStarvation(surroundings, stop.signal),
    ])
  } finally {
    forget()
    await store.driver.close()
  }
}
