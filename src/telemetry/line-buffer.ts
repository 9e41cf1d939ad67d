/**
 * Gathers lines and writes them together: a write to a pipe or file takes longer than making the line. What is gathered is bounded in bytes
 * and in time, and everything is written in the order it came.
 */

export interface LineBufferOptions {
  /** Takes whole lines. */
  readonly write: (text: string) => void
  /** Lines are written together up to so many bytes; a longer line goes out by itself. */
  readonly maxBytes: number
  /** The longest a line waits, in ms; 0: none waits. */
  readonly maxWaitMs: number
  /** Calls back once after so many ms; it need not keep the process. Returns what forgets it. */
  readonly startTimer: (run: () => void, ms: number) => () => void
}

export interface LineBuffer {
  /** Takes a line that may wait. */
  add(line: string): void
  /** Takes a line that is written before this returns, behind all that waited. */
  write(line: string): void
  /** Writes what waits. */
  flush(): void
}

export function createLineBuffer({ write, maxBytes, maxWaitMs, startTimer }: LineBufferOptions): LineBuffer {
  let waiting = ''
  let waitingBytes = 0
  let stopTimer: (() => void) | undefined

  function flush(): void {
    stopTimer?.()
    stopTimer = undefined
    if (waiting === '') return
    const text = waiting
    waiting = ''
    waitingBytes = 0
    write(text)
  }
  /** Never more than `maxBytes` together: a pipe takes so much whole, whoever else writes to it. */
  function append(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (waitingBytes + bytes > maxBytes) flush()
    waiting += line
    waitingBytes += bytes
  }
  return {
    flush,
    add(line) {
      append(line)
      if (maxWaitMs === 0) flush()
      else stopTimer ??= startTimer(flush, maxWaitMs)
    },
    write(line) {
      append(line)
      flush()
    },
  }
}
