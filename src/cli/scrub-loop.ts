/** Scrubs whenever it is due, only looking. It knows neither who is told of the runs nor in which process it is. */
import type { Finding } from '../registry/scrub/context.ts'
import { findDueScrub, isRunning, noteEnd, notePosition } from '../registry/scrub/schedule.ts'
import type { Scrub, ScrubCounts } from '../registry/scrub/scrub.ts'
import type { Driver } from '../storage/driver.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** One scrub that ended: with what it found, the first of it in full, or with what stopped it. */
export type ScrubRun = { readonly kind: 'scrub'; readonly seconds: number } & (
  | { readonly outcome: 'done'; readonly counts: ScrubCounts; readonly first: readonly Finding[] }
  | { readonly outcome: 'failed'; readonly reason: string }
)

export interface ScrubLoop {
  readonly scrub: Scrub
  readonly driver: Driver
  readonly intervalMs: number
  readonly bytesPerSecond: number
  readonly createId: () => string
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  readonly monotonicMs: () => number
  readonly onRun: (run: ScrubRun) => void
}

/** How often it is looked whether a scrub is due, and a running one notes its position, in ms. */
const lookMs = 60_000

/** A run that has noted nothing for so long is over, in ms: longer than the largest blob takes. Were it not over, both would read, and no more. */
const silenceMs = 3_600_000

/** Of two that start in the same moment, each has noted so by then, and the later note counts; in ms. */
const meetMs = 5_000

/** As many findings go into the log line; `berth scrub` tells all. */
const firstFindings = 10

/** One run; `undefined` when another process has begun one in the same moment. */
async function runOnce(loop: ScrubLoop, from: string | undefined, signal: AbortSignal): Promise<ScrubRun | undefined> {
  const { scrub, driver, bytesPerSecond, createId, sleep, monotonicMs } = loop
  const by = createId()
  await notePosition(driver, by, from ?? '', { signal })
  await sleep(meetMs, signal)
  if (!(await isRunning(driver, by, { signal }))) return undefined
  const start = monotonicMs()
  const first: Finding[] = []
  let notedMs = start
  let noting = Promise.resolve()
  const counts = await scrub.run('look', {
    signal,
    bytesPerSecond,
    from,
    onFinding: (finding) => void (first.length < firstFindings && first.push(finding)),
    report: (_what, _fraction, position) => {
      if (monotonicMs() - notedMs < lookMs) return
      notedMs = monotonicMs()
      // Without this note a later run only starts further back.
      noting = noting.then(() => notePosition(driver, by, position, { signal })).catch(() => undefined)
    },
  })
  await noting
  await noteEnd(driver, by, { signal })
  return { kind: 'scrub', outcome: 'done', counts, first, seconds: (monotonicMs() - start) / 1000 }
}

/** Resolves when `signal` is aborted. A run that fails is told, and goes on where it was after a while. */
export async function scrubRepeatedly(loop: ScrubLoop, signal: AbortSignal): Promise<void> {
  const { driver, intervalMs, sleep, monotonicMs, onRun } = loop
  while (!signal.aborted) {
    const start = monotonicMs()
    try {
      await sleep(lookMs, signal)
      const due = await findDueScrub(driver, { intervalMs, silenceMs }, { signal })
      const run = due && (await runOnce(loop, due.from, signal))
      if (run !== undefined) onRun(run)
    } catch (error) {
      if (signal.aborted) return
      const reason = error instanceof Error ? error.message : String(error)
      onRun({ kind: 'scrub', outcome: 'failed', reason, seconds: (monotonicMs() - start) / 1000 })
    }
  }
}

export function isScrubRun(message: unknown): message is ScrubRun {
  return typeof message === 'object' && message !== null && 'kind' in message && message.kind === 'scrub'
}

/** Logs a run on one line and counts it. */
export function recordScrub(run: ScrubRun, log: Logger, metrics: Metrics): void {
  const durationMs = Math.round(run.seconds * 1000)
  metrics.recordScrub(run)
  if (run.outcome === 'failed') {
    log.warn('a scrub failed; it goes on later', { reason: run.reason, durationMs })
    return
  }
  const { counts, first } = run
  const found = Object.fromEntries(Object.entries(counts.found).filter(([, count]) => count > 0))
  if (first.length === 0) log.info('scrubbed: everything is as it should be', { bytes: counts.bytes, durationMs })
  else log.error('scrubbed: see berth scrub', { found, first, bytes: counts.bytes, durationMs })
}
