/**
 * What a record leads to, looked at while the store is asked whether the record still stands: a reader waits once where he would wait twice. It counts only
 * for a record that stands as it was kept (decision 24).
 */
import type { Cancel, Driver } from '../storage/driver.ts'

export interface AheadOptions<From, To> extends Cancel {
  /** The record as it was read before, if it is kept. */
  readonly recall: () => From | undefined
  readonly look: (record: From, cancel: Cancel) => Promise<To>
  /** Gets what was found when nobody took it. */
  readonly giveUp?: (found: To) => Promise<void> | undefined
}

/** A look at what a record led to that was read before; disposed of, it is called off. */
export interface Ahead<From, To> extends Disposable {
  /** What comes of it, once, if this is the record that it began with; nothing when it has failed already: the store may be well again. */
  take(record: From): Promise<To> | undefined
}

/** Begins to look. Not where the store is files of this machine: to open one takes less time than to ask for two things at once. */
export function lookAhead<From, To>(
  { pathOf }: Driver,
  { recall, look, giveUp, signal }: AheadOptions<From, To>,
): Ahead<From, To> {
  const record = pathOf === undefined ? recall() : undefined
  if (record === undefined) return { take: () => undefined, [Symbol.dispose]: () => undefined }
  const stop = new AbortController()
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  let pending: Promise<To> | undefined = look(record, { signal: either })
  pending.catch(() => {
    pending = undefined
  })
  return {
    take(current) {
      const taken = current === record ? pending : undefined
      if (taken !== undefined) pending = undefined
      return taken
    },
    [Symbol.dispose]() {
      if (pending === undefined) return
      stop.abort()
      pending.then(giveUp).catch(() => undefined)
    },
  }
}
