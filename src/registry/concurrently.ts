/** Runs independent calls side by side, so many at once. */

/** Parts of a list, in order. */
export function* slicesOf<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}

/** Maps in order, with at most `limit` calls under way; the first failure stops further calls from starting, and is thrown when all that run have ended. */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  limit: number,
  run: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = Array.from({ length: items.length })
  const entries = items.entries()
  let failed = false
  const work = async (): Promise<void> => {
    for (const [i, item] of entries) {
      if (failed) return
      try {
        results[i] = await run(item)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const workers = Array.from({ length: Math.min(limit, items.length) }, work)
  const outcomes = await Promise.allSettled(workers)
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  return results
}

export interface Succession {
  /** Starts a work when the last has ended, and does not wait for it. Throws what the last threw: the work is not started then. */
  readonly next: (work: () => Promise<void>) => Promise<void>
  /** Waits for the last; throws what it threw. */
  readonly end: () => Promise<void>
}

/** Works that run one after another beside the one caller who hands them over. */
export function createSuccession(): Succession {
  let last = Promise.resolve()
  return {
    async next(work) {
      await last
      last = work()
      // It is told by the next call.
      last.catch(() => undefined)
    },
    end: () => last,
  }
}
