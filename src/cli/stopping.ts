/** When a process has to stop: somebody asked for it, or it met a bug. */
import type { Config } from '../config/schema.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Stopping } from './answering.ts'
import type { Surroundings } from './command.ts'

/** A second signal within this time is the same one: npm passes on a Ctrl-C that the terminal has sent us already. */
const sameSignalMs = 500

export interface Stop {
  /** Aborted when the process has to stop. */
  readonly requested: AbortSignal
  /** Aborted when somebody will not wait. */
  readonly hurried: AbortSignal
  /** Whether a bug came before anybody asked. */
  readonly isFault: () => boolean
  readonly request: () => void
  readonly hurry: () => void
  readonly fail: () => void
}

export function createStop(): Stop {
  const requested = new AbortController()
  const hurried = new AbortController()
  let isFault = false
  return {
    requested: requested.signal,
    hurried: hurried.signal,
    isFault: () => isFault,
    request: () => requested.abort(),
    hurry: () => {
      requested.abort()
      hurried.abort()
    },
    fail: () => {
      isFault ||= !requested.signal.aborted
      requested.abort()
    },
  }
}

/** The first signal of an operator is a request, a later one hurries. Returns how to listen no more. */
export function obeySignals({ onStop }: Surroundings, stop: Stop): () => void {
  let firstMs = 0
  return onStop(() => {
    if (!stop.requested.aborted) firstMs = performance.now()
    else if (performance.now() - firstMs > sameSignalMs) stop.hurry()
    stop.request()
  })
}

/** Logs and counts errors that nobody caught, and stops for the first. Of what was thrown only name, message and stack are written. */
export function stopOnFaults({ onUncaught }: Surroundings, stop: Stop, log: Logger, metrics: Metrics): () => void {
  return onUncaught((error) => {
    const isError = error instanceof Error
    const reason = isError ? `${error.name}: ${error.message}` : `a ${typeof error} was thrown`
    const stack = isError ? error.stack : undefined
    log.error('an error that nobody caught; this is a bug, please report it', { reason, stack })
    metrics.recordUncaught()
    stop.fail()
  })
}

/** How requests are stopped: soon, after a bug. */
export function stoppingOf({ http, workers }: Config, { isFault, hurried }: Stop): Stopping {
  const { stopDelayMs: delayMs, stopTimeoutMs: limitMs } = http
  if (!isFault()) return { delayMs, limitMs, hurry: hurried }
  return { delayMs: 0, limitMs: Math.min(workers.faultTimeoutMs, limitMs), hurry: hurried }
}

export function once(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
