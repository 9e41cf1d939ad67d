/** Keeps reading below a rate, so that a scrub of days leaves the disk to those who wait. */
import type { Cancel } from '../../storage/driver.ts'

/** Told of bytes that were read; resolves when more may be. */
export type Pace = (bytes: number, cancel: Cancel) => Promise<void>

/** Shorter waits are saved up: a timer is not more exact. */
const shortestWaitMs = 10

/** `bytesPerSecond` may be Infinity. Time that was spent on other things is not made up for. */
export function createPace(
  bytesPerSecond: number,
  monotonicMs: () => number,
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>,
): Pace {
  let freeAt = Number.NEGATIVE_INFINITY
  return async (bytes, { signal }) => {
    const now = monotonicMs()
    freeAt = Math.max(freeAt, now) + (bytes / bytesPerSecond) * 1000
    if (freeAt - now >= shortestWaitMs) await sleep(freeAt - now, signal)
  }
}
