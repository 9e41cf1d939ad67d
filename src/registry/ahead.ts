/**
 * What a record leads to, looked at while the store is asked whether the record still stands: a reader waits once where he would wait twice. A version is
 * written once, so a record that stands now stood at that look, too, and both were there at the same moment (decision 24).
 */
import type { Driver } from '../storage/driver.ts'

/** A look at what a record led to that was read before. */
export interface Ahead<From, To> extends Disposable {
  /** What was found, if this is the record that it began with; whoever has taken it disposes of it. */
  take(record: From): Promise<To> | undefined
}

/**
 * Begins to look, from a record that is kept. What nobody has taken in the end is given to `dispose`. Not where the store is files of this machine: to open one takes
 * less time than to ask for two things at once.
 */
export function lookAhead<From, To>(
  { pathOf }: Driver,
  record: From | undefined,
  look: (record: From) => Promise<To>,
  dispose?: (found: To) => Promise<void> | undefined,
): Ahead<From, To> {
  let pending = record === undefined || pathOf !== undefined ? undefined : look(record)
  // Whoever takes it is told.
  pending?.catch(() => undefined)
  return {
    take(current) {
      const taken = current === record ? pending : undefined
      if (taken !== undefined) pending = undefined
      return taken
    },
    [Symbol.dispose]() {
      void pending?.then(dispose).catch(() => undefined)
    },
  }
}
