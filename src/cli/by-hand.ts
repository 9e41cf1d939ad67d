/** What commands share that work on a store once, beside servers that run or not: its configuration, the store, a progress bar, the signal to stop. */
import type { Config } from '../config/schema.ts'
import { createLogger } from '../telemetry/logger.ts'
import { openInBackground } from './background.ts'
import { CommandError, type Given, type Surroundings } from './command.ts'
import { loadGivenConfig } from './config.ts'
import type { Store } from './open-store.ts'
import { createProgress, type Progress } from './progress.ts'

/** The configuration of a command that needs a store which outlives its server. */
export function loadLastingConfig(given: Given, surroundings: Surroundings): Config {
  const { config } = loadGivenConfig(given, surroundings)
  if (config.storage.kind === 'memory') {
    throw new CommandError(
      'refused',
      'a store in memory is there for its own server only: storage.kind must name a store that lasts',
    )
  }
  return config
}

export interface Hand {
  readonly store: Store
  readonly progress: Progress
  /** Aborted by the first signal to stop. */
  readonly signal: AbortSignal
}

/** Opens the store, lets servers have most of the processor, and works until the end or a signal to stop; what `work` throws after that signal is said to be a stop. */
export async function workByHand(
  config: Config,
  surroundings: Surroundings,
  work: (hand: Hand) => Promise<void>,
): Promise<void> {
  const log = createLogger({ level: 'warn', format: 'pretty', write: surroundings.err, now: () => new Date() })
  // Somebody waits for its end, also beside a server that keeps every processor busy.
  const store = await openInBackground(config, surroundings, log, 'low')
  const progress = createProgress(surroundings)
  const stop = new AbortController()
  const forget = surroundings.onStop(() => stop.abort())
  try {
    await work({ store, progress, signal: stop.signal })
  } catch (error) {
    progress.clear()
    if (!stop.signal.aborted || error instanceof CommandError) throw error
    throw new CommandError('failed', 'stopped; what was removed is removed, the next run goes on')
  } finally {
    forget()
    await store.driver.close()
  }
}
