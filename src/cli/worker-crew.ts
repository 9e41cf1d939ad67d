/** The worker processes that live now, and what those that do not had counted. It starts and ends them, but does not decide when. */
import { createRetired, type Snapshot } from '../telemetry/merged-metrics.ts'
import { type Answering, settleMs } from './answering.ts'
import { type StartChild, startWorkerProcess, type WorkerProcess } from './worker-process.ts'

/** How long a worker may take beyond its own limits before it is killed. */
const overdueMs = settleMs + 3000

export interface CrewOptions {
  readonly start: StartChild
  readonly metricsTimeoutMs: number
  /** Rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  /** Hears how many listen, whenever that may have changed. */
  readonly onCount: (listening: number) => void
}

export interface Crew {
  readonly start: () => WorkerProcess
  readonly living: () => readonly WorkerProcess[]
  readonly countListening: () => number
  /** What all workers have counted that there ever were. */
  readonly measure: () => Promise<readonly Snapshot[]>
  /** Kills those that are not gone when they should have ended within so many ms; resolves when they are gone. */
  readonly killOverdue: (those: readonly WorkerProcess[], limitMs: number) => Promise<void>
  /** Tells all workers to stop; they know their limits. Resolves when they are gone. */
  readonly stop: Answering['stop']
}

export function createCrew({ start, metricsTimeoutMs, sleep, onCount }: CrewOptions): Crew {
  const living = new Set<WorkerProcess>()
  const retired = createRetired()
  const countListening = (): number => [...living].filter((worker) => worker.isListening()).length

  /** Whether `promise` resolved within the time. */
  async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
    const done = new AbortController()
    const late = sleep(ms, done.signal).then(
      () => false,
      () => true,
    )
    void promise.then(() => done.abort())
    return late
  }

  async function bury(worker: WorkerProcess): Promise<void> {
    await worker.gone
    living.delete(worker)
    retired.add(worker.counted())
  }

  async function killOverdue(those: readonly WorkerProcess[], limitMs: number): Promise<void> {
    const gone = Promise.all(those.map((worker) => worker.gone))
    if (await within(gone, limitMs + overdueMs)) return
    for (const worker of those) if (living.has(worker)) worker.kill()
    await gone
  }

  return {
    start: () => {
      const worker = startWorkerProcess(start)
      living.add(worker)
      void bury(worker)
      for (const change of [worker.listening, worker.over]) void change.then(() => onCount(countListening()))
      return worker
    },
    living: () => [...living],
    countListening,
    measure: async () => {
      const snapshots = [...living].map(async (worker) => {
        await within(worker.measure(), metricsTimeoutMs)
        return worker.counted()
      })
      return [await retired.total(), ...(await Promise.all(snapshots))]
    },
    killOverdue,
    stop: async ({ delayMs, limitMs, hurry }) => {
      const workers = [...living]
      for (const worker of workers) worker.tell({ kind: 'stop' })
      const hasten = (): void => {
        for (const worker of workers) worker.tell({ kind: 'hurry' })
        void killOverdue(workers, 0)
      }
      hurry.addEventListener('abort', hasten)
      if (hurry.aborted) hasten()
      await killOverdue(workers, delayMs + limitMs)
      hurry.removeEventListener('abort', hasten)
      return workers.every((worker) => worker.drained() === 'finished') ? 'finished' : 'cut'
    },
  }
}
