/** Makes calls again that a store failed: a few times, after pauses that differ, and ever less often while nothing goes well. */
import type { Cancel } from '../driver.ts'
import { isTransient, S3Error } from './errors.ts'

export interface RetryOptions {
  /** How often one call is made at most. */
  readonly maxAttempts: number
  /** From 0 to below 1. */
  readonly random: () => number
  /** Rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<unknown>
}

export interface RetryCancel extends Cancel {
  /** Whether the call may be made again after this. Default: whatever may go well a moment later. */
  readonly mayRepeat?: (error: S3Error) => boolean
}

/** Runs a call, again where that may help. */
export type Retry = <T>(call: () => Promise<T>, options: RetryCancel) => Promise<T>

/**
 * For a call that changes something, which is not told of the signal: an abort cuts it not off, or nobody would know whether it has happened. It only ends the
 * attempts.
 */
export function untilAborted({ signal }: Cancel, mayRepeat: (error: S3Error) => boolean = isTransient): RetryCancel {
  return { mayRepeat: (error) => signal?.aborted !== true && mayRepeat(error) }
}

/** The first pause is up to so long, each further one up to twice that; AWS, "Exponential backoff and jitter". */
const firstPauseMs = 100
const maxPauseMs = 5000

/** How many calls may be made again while none goes well; each that goes well gives back a tenth. As the SDK: a store that is away is not asked four times for everything. */
const maxBudget = 100
const refund = 0.1

export function createRetry({ maxAttempts, random, sleep }: RetryOptions): Retry {
  let budget = maxBudget
  return async (call, { signal, mayRepeat = isTransient }) => {
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await call()
        budget = Math.min(maxBudget, budget + refund)
        return result
      } catch (error) {
        if (!(error instanceof S3Error) || !mayRepeat(error)) throw error
        if (attempt >= maxAttempts || budget < 1) throw error
      }
      budget -= 1
      try {
        await sleep(random() * Math.min(maxPauseMs, firstPauseMs * 2 ** (attempt - 1)), signal)
      } finally {
        // With the reason of the signal, which a timer wraps.
        signal?.throwIfAborted()
      }
    }
  }
}
