/**
 * Marks seen from the side that relies: whoever relies wrote first and now looks. A fresh mark may be taken back at once, so it is looked at
 * again for a moment; one that stays, or is older, means condemned (DESIGN: handshake).
 */
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'

/** What one look told; `fresh` when every mark seen is young enough to be taken back. */
export interface Look {
  readonly marks: 'none' | 'fresh' | 'old'
}

const firstWaitMs = 20

/** How the marks of a listing with times count. */
export function judgeMarks(
  marks: readonly { readonly modified?: number }[],
  now: number | undefined,
  freshMarkMs: number,
): Look['marks'] {
  if (marks.length === 0) return 'none'
  const isFresh = marks.every(
    ({ modified }) => now !== undefined && modified !== undefined && now - modified < freshMarkMs,
  )
  return isFresh ? 'fresh' : 'old'
}

/** Looks until there is no fresh mark, or the wait is spent. Returns the last look. */
export async function lookPastFreshMarks<L extends Look>(
  context: Context,
  look: () => Promise<L>,
  cancel: Cancel,
): Promise<L> {
  let waitedMs = 0
  let pauseMs = firstWaitMs
  for (;;) {
    const seen = await look()
    if (seen.marks !== 'fresh' || waitedMs >= context.limits.markWaitMs) return seen
    await context.sleep(pauseMs, cancel.signal)
    waitedMs += pauseMs
    pauseMs *= 2
  }
}
