/** What is counted of the processes of a server. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Why a worker ended: it met a bug, a signal killed it, it exited by itself, or it could not begin. */
export type WorkerEnd = 'bug' | 'killed' | 'exited' | 'refused'

export interface WorkerMetrics {
  /** Says how many processes answer requests. */
  setWorkers(count: number): void
  /** Counts a worker that ended before it was told to. */
  recordWorkerEnd(cause: WorkerEnd): void
  /** Counts an error that nobody caught. */
  recordUncaught(): void
}

export function createWorkerMetrics(registers: Registry[]): WorkerMetrics {
  const workers = new Gauge({ name: 'berth_workers', help: 'Processes that answer requests.', registers })
  const ends = new Counter({
    name: 'berth_worker_ends_total',
    help: 'Workers that ended before they were told to, by cause: bug, killed, exited, refused (it could not begin).',
    labelNames: ['cause'],
    registers,
  })
  const uncaught = new Counter({
    name: 'berth_uncaught_errors_total',
    help: 'Errors that nobody caught: bugs. The process that met one ends, and the log says where it was.',
    registers,
  })
  return {
    setWorkers: (count) => workers.set(count),
    recordWorkerEnd: (cause) => ends.inc({ cause }),
    recordUncaught: () => uncaught.inc(),
  }
}
