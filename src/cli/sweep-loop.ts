/** Sweeps again and again until told to stop. It knows neither who is told of the runs nor in which process it is. */
import { type SweepCounts } from '../registry/sweep/context.ts'
import type { Sweep } from '../registry/sweep/sweep.ts'

/** One run that ended: with its counts, or with what stopped it. */
export type SweepRun =
  | { readonly outcome: 'done'; readonly counts: SweepCounts; readonly seconds: number }
  | { readonly outcome: 'failed'; readonly reason: string; readonly seconds: number }

export interface SweepLoop {
  readonly sweep: Sweep
  readonly intervalMs: number
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly monotonicMs: () => number
  /** From 0 to below 1: replicas that start together should not sweep together. */
  readonly random: () => number
  readonly onRun: (run: SweepRun) => void
}

/** Resolves when `signal` is aborted. A run that fails is told, and the next one tries again. */
export async function sweepRepeatedly(loop: SweepLoop, signal: AbortSignal): Promise<void> {
  const { sweep, intervalMs, sleep, monotonicMs, random, onRun } = loop
  let pauseMs = intervalMs * random()
  while (!signal.aborted) {
    try {
      await sleep(pauseMs, signal)
    } catch {
      return
    }
    const start = monotonicMs()
    const seconds = (): number => (monotonicMs() - start) / 1000
    try {
      const counts = await sweep.run('sweep', { signal })
      onRun({ outcome: 'done', counts, seconds: seconds() })
    } catch (error) {
      if (signal.aborted) return
      onRun({ outcome: 'failed', reason: error instanceof Error ? error.message : String(error), seconds: seconds() })
    }
    pauseMs = intervalMs * (0.9 + random() * 0.2)
  }
}
