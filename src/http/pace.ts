/**
 * How slow a client may be that is never silent for long: one that sends a byte a second would hold its place among the uploads, or a buffer, for days.
 * It must not know what is sent, and never holds the time against a client that the server took.
 */
import type { Socket } from 'node:net'

export interface PaceLimits {
  /** The longest pause, and what the rate is an average over, in ms. */
  readonly bodyIdleTimeoutMs: number
  /** Bytes a second; 0 for no limit. */
  readonly minRateBytes: number
}

/** Counts what a client sends, and how long it was waited for. */
export interface Pace {
  /** From now on somebody waits for the client. */
  wait(): void
  /** Bytes that came; says whether they come fast enough. */
  take(bytes: number): 'kept' | 'too slow'
}

/** `elapsedMs` is a monotonic clock. */
export function createPace({ bodyIdleTimeoutMs, minRateBytes }: PaceLimits, elapsedMs: () => number): Pace {
  let since: number | undefined
  let waitedMs = 0
  let taken = 0
  return {
    wait() {
      since ??= elapsedMs()
    },
    take(bytes) {
      taken += bytes
      if (since === undefined) return 'kept'
      waitedMs += elapsedMs() - since
      since = undefined
      if (waitedMs < bodyIdleTimeoutMs) return 'kept'
      const isSlow = taken * 1000 < minRateBytes * waitedMs
      waitedMs = 0
      taken = 0
      return isSlow ? 'too slow' : 'kept'
    },
  }
}

/** Looks within the time that a client may be silent. */
const looks = 4

/**
 * Calls `onSlow` when a client has what was handed to its socket for longer than the idle time and what so many bytes take at the least rate; the
 * socket tells only when a whole buffer is through. Returns how to end that.
 */
export function watchReader(
  socket: Pick<Socket, 'bytesWritten' | 'writableLength'>,
  { bodyIdleTimeoutMs, minRateBytes }: PaceLimits,
  onSlow: () => void,
): () => void {
  if (minRateBytes === 0) return () => undefined
  let through = 0
  let sinceMs = performance.now()
  const timer = setInterval(() => {
    const waiting = socket.writableLength
    const now = performance.now()
    const isSame = socket.bytesWritten - waiting === through
    if (waiting === 0 || !isSame) {
      through = socket.bytesWritten - waiting
      sinceMs = now
    } else if (now - sinceMs > bodyIdleTimeoutMs + (waiting / minRateBytes) * 1000) onSlow()
  }, bodyIdleTimeoutMs / looks)
  return () => clearInterval(timer)
}
