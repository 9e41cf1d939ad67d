/**
 * How many blobs are marked together. The more, the less often a repository is read; but all their marks stand until the last is written and all are looked
 * at again, and a request that needs one of the blobs waits for that no longer than some seconds.
 */

export interface GroupSize {
  /** At least 1. */
  readonly now: () => number
  /** Marks of a group stood for so long, in ms. */
  readonly stood: (ms: number) => void
}

/** Shorter than a request waits for a mark, by far. */
const targetMs = 500

/** Begins with a few, and finds out. */
const first = 50

/** By how much a group may be larger than the last. */
const maxGrowth = 2

export function createGroupSize(max: number): GroupSize {
  let size = Math.min(first, max)
  return {
    now: () => size,
    stood: (ms) => {
      const fitting = Math.floor(size * Math.min(targetMs / Math.max(ms, 1), maxGrowth))
      size = Math.max(1, Math.min(fitting, max))
    },
  }
}
