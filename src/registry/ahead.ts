/**
 * What a record leads to, looked at while the store is asked whether the record still stands: a reader waits once where he would wait twice. It counts only
 * for a record that stands as it was kept (decision 24).
 */
import type { Cancel, Driver } from '../storage/driver.ts'

export interface AheadOptions<From, To> extends Cancel {
  /** The record as it was read before, if it is kept. */
  readonly recall: () => From | undefined
  readonly look: (record: From, cancel: Cancel) => Promise<To>
  /** Gets what was found when it is not wanted. */
  readonly giveUp?: (found: To) => Promise<void> | undefined
}

export interface Ahead<From, To> extends Disposable {
  /**
   * What this record leads to, by the look ahead if that began with it, else by another, which calls the first one off. A look ahead that fails is made once
   * more: the store may have been well only when it said that the record stands.
   */
  resolve(record: From): Promise<To>
}

/** Begins to look. Not where the store is files of this machine: to open one takes less time than to ask for two things at once. */
export function lookAhead<From, To>(
  { pathOf }: Driver,
  { recall, look, giveUp, signal }: AheadOptions<From, To>,
): Ahead<From, To> {
  const record = pathOf === undefined ? recall() : undefined
  if (record === undefined)
    return { resolve: (current) => look(current, { signal }), [Symbol.dispose]: () => undefined }
  const stop = new AbortController()
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  let pending: Promise<To> | undefined = look(record, { signal: either })
  // Whoever wants it is told.
  pending.catch(() => undefined)
  const callOff = (): void => {
    if (pending === undefined) return
    stop.abort()
    pending.then(giveUp).catch(() => undefined)
    pending = undefined
  }
  return {
    resolve(current) {
      const taken = current === record ? pending : undefined
      if (taken === undefined) {
        callOff()
        return look(current, { signal })
      }
      pending = undefined
      return taken.catch(() => look(current, { signal }))
    },
    [Symbol.dispose]: callOff,
  }
}
