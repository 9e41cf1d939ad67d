/**
 * A driver for work that has time: it lets others have the processor. A low priority alone does not do that: a kernel gives even such a process a whole
 * tick of some milliseconds at a time, and a request that comes meanwhile waits for its end.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Driver } from './driver.ts'

export interface Yielding {
  /** The most of one processor that is used, above 0: 1.5 is one and a half. */
  readonly share: number
  /** Between two looks at what was used, ms: above what a call takes, and below what those notice who have to wait for a pause. */
  readonly runMs: number
  /** Processor time of this process, ms. */
  readonly usedMs: () => number
  /** Monotonic, ms. */
  readonly elapsedMs: () => number
  /** Stops the whole process for so many ms. */
  readonly pause: (ms: number) => void
}

/** What was waited for the store counts as a pause, up to so much of it. */
const creditMs = 20

/** Nothing else happens in a pause: a signal to stop waits for its end. What is due beyond it is paid at the next calls. */
const maxPauseMs = 50

/** A store may answer every call at once, and a signal to stop is heard between two turns of the event loop only. */
const turnMs = 50

/** Passes every call on, after a pause where this process has used its share. */
export function createYieldingDriver(driver: Driver, { share, runMs, usedMs, elapsedMs, pause }: Yielding): Driver {
  let used = usedMs()
  let looked = elapsedMs()
  // When this process may go on.
  let due = elapsedMs()
  const yieldNow = (): void => {
    const now = elapsedMs()
    // Asking what was used takes longer than many a call.
    if (now - looked < runMs && due <= now) return
    looked = now
    const ran = usedMs() - used
    if (ran < runMs && due <= now) return
    used += ran
    due = Math.max(due + ran / share, now - creditMs)
    if (due > now) pause(Math.min(due - now, maxPauseMs))
  }
  let turned = elapsedMs()
  const before = <T>(call: () => Promise<T>): Promise<T> => {
    yieldNow()
    if (elapsedMs() - turned < turnMs) return call()
    turned = elapsedMs()
    return nextTurn().then(call)
  }
  return {
    promotion: driver.promotion,
    removal: driver.removal,
    pathOf: driver.pathOf,
    signUrl: driver.signUrl,
    read: (key, options) => before(() => driver.read(key, options)),
    stat: (key, options) => before(() => driver.stat(key, options)),
    open: (key, range, options) => before(() => driver.open(key, range, options)),
    write: (key, bytes, options) => before(() => driver.write(key, bytes, options)),
    writeStream: (key, options) => before(() => driver.writeStream(key, options)),
    promote: (entry, record, options) => before(() => driver.promote(entry, record, options)),
    remove: (key, options) => before(() => driver.remove(key, options)),
    list: (prefix, options) => before(() => driver.list(prefix, options)),
    settle: (prefix, options) => driver.settle(prefix, options),
    tidy: (options) => driver.tidy(options),
    close: () => driver.close(),
  }
}
