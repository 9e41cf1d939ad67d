/**
 * On a store that promotes by copying, a copy that was begun before its entry was deleted may still land. Whoever deleted the entry waits for the copy
 * window by its own monotonic clock, counted from when this process first saw that the entry is gone: no clock of another machine is asked.
 */
import type { SweepContext } from './context.ts'

/** Whether this process has seen `what` settled for the copy window; the first call starts the count. */
export function hasWaited({ seenSince, monotonicMs, sweepLimits }: SweepContext, what: string): boolean {
  const now = monotonicMs()
  const since = seenSince.get(what)
  if (since === undefined) {
    // Full of others, which will have waited sooner: this one's turn comes when they are done.
    if (seenSince.calculatedSize >= seenSince.maxSize) seenSince.purgeStale()
    if (seenSince.calculatedSize < seenSince.maxSize) seenSince.set(what, now)
    return false
  }
  if (now - since < sweepLimits.copyWindowMs) return false
  seenSince.delete(what)
  return true
}
