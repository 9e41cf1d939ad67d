/** A driver that tells how each call ended and how long it took; what becomes of that is not its business. */
import { type ByteWriter, type Driver, StorageError } from './driver.ts'

/** How a call ended. The first five are answers; a failure is the reason of its `StorageError`, `aborted` or, for a bug, `failed`. */
export type Outcome =
  | 'done'
  | 'absent'
  | 'exists'
  | 'refused'
  | 'changed'
  | StorageError['reason']
  | 'aborted'
  | 'failed'

export interface Meter {
  /** `operation` is the method, and `seal` of a writer. */
  record(operation: string, outcome: Outcome, durationMs: number): void
}

const isThere = (value: unknown): Outcome => (value === undefined ? 'absent' : 'done')
const isDone = (): Outcome => 'done'
const written = (outcome: 'written' | 'exists'): Outcome => (outcome === 'written' ? 'done' : outcome)
const removed = (outcome: 'removed' | 'absent' | 'changed'): Outcome => (outcome === 'removed' ? 'done' : outcome)

function outcomeOf(error: unknown): Outcome {
  if (error instanceof StorageError) return error.reason
  return error instanceof Error && error.name === 'AbortError' ? 'aborted' : 'failed'
}

/** Tells `meter` of every call; `elapsedMs` is a monotonic clock. */
export function meterDriver(driver: Driver, meter: Meter, elapsedMs: () => number): Driver {
  /** The call has begun already: a folder on a local disk does much of it before it first waits. */
  async function end<T>(operation: string, start: number, call: Promise<T>, judge: (value: T) => Outcome): Promise<T> {
    try {
      const value = await call
      meter.record(operation, judge(value), elapsedMs() - start)
      return value
    } catch (error) {
      meter.record(operation, outcomeOf(error), elapsedMs() - start)
      throw error
    }
  }

  /** Writing waits for the sender; how long the store takes shows at the end. */
  function meterWriter(writer: ByteWriter): ByteWriter {
    return {
      write: (chunk) => writer.write(chunk),
      seal: () => end('seal', elapsedMs(), writer.seal(), isDone),
      discard: () => writer.discard(),
    }
  }

  const { stamp } = driver
  return {
    ...driver,
    stamp: stamp && ((prefix, options) => end('stamp', elapsedMs(), stamp(prefix, options), isThere)),
    read: (key, options) => end('read', elapsedMs(), driver.read(key, options), isThere),
    stat: (key, options) => end('stat', elapsedMs(), driver.stat(key, options), isThere),
    open: (key, range, options) => end('open', elapsedMs(), driver.open(key, range, options), isThere),
    write: (key, bytes, options) => end('write', elapsedMs(), driver.write(key, bytes, options), written),
    writeStream: async (key, options) =>
      meterWriter(await end('writeStream', elapsedMs(), driver.writeStream(key, options), isDone)),
    promote: (entry, record, options) =>
      end('promote', elapsedMs(), driver.promote(entry, record, options), (outcome) => outcome),
    remove: (key, options) => end('remove', elapsedMs(), driver.remove(key, options), removed),
    list: (prefix, options) => end('list', elapsedMs(), driver.list(prefix, options), isDone),
    settle: (prefix, options) => end('settle', elapsedMs(), driver.settle(prefix, options), isDone),
    tidy: (options) => end('tidy', elapsedMs(), driver.tidy(options), isDone),
  }
}
