/** Does a work of housekeeping again and again until told to stop. It knows neither what is done, nor who is told, nor in which process it is. */

/** One run that ended: with its counts, or with what stopped it. */
export type Run<Counts> =
  | { readonly outcome: 'done'; readonly counts: Counts; readonly seconds: number }
  | { readonly outcome: 'failed'; readonly reason: string; readonly seconds: number }

export interface Loop<Counts> {
  readonly run: (options: { readonly signal: AbortSignal }) => Promise<Counts>
  readonly intervalMs: number
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly monotonicMs: () => number
  /** From 0 to below 1: replicas that start together should not work together. */
  readonly random: () => number
  readonly onRun: (run: Run<Counts>) => void
}

/** The longest wait for the first run, in ms: a process that is started anew every day must come to its daily work. */
const maxFirstPauseMs = 600_000

/** Resolves when `signal` is aborted. A run that fails is told, and the next one tries again. */
export async function runRepeatedly<Counts>(loop: Loop<Counts>, signal: AbortSignal): Promise<void> {
  const { run, intervalMs, sleep, monotonicMs, random, onRun } = loop
  let pauseMs = Math.min(intervalMs, maxFirstPauseMs) * random()
  while (!signal.aborted) {
    try {
      await sleep(pauseMs, signal)
    } catch {
      return
    }
    const start = monotonicMs()
    const seconds = (): number => (monotonicMs() - start) / 1000
    try {
      const counts = await run({ signal })
      onRun({ outcome: 'done', counts, seconds: seconds() })
    } catch (error) {
      if (signal.aborted) return
      onRun({ outcome: 'failed', reason: error instanceof Error ? error.message : String(error), seconds: seconds() })
    }
    pauseMs = intervalMs * (0.9 + random() * 0.2)
  }
}
