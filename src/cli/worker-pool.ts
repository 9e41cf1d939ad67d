/**
 * The workers of a server: started together, replaced when they die, stopped together. Replacements wait, twice as long each time, so that a worker that
 * cannot live costs little. It does not know what workers do.
 */
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Answering } from './answering.ts'
import { CommandError } from './command.ts'
import { createCrew, type CrewOptions } from './worker-crew.ts'
import type { Texts } from './worker-messages.ts'
import type { End, WorkerProcess } from './worker-process.ts'

export interface PoolOptions extends Omit<CrewOptions, 'onCount'> {
  readonly count: number
  readonly restartMs: number
  readonly maxRestartMs: number
  readonly faultTimeoutMs: number
  /** The files of the configuration: a replacement must not find others. */
  readonly texts: Texts
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'setWorkers' | 'recordWorkerEnd'>
  readonly monotonicMs: () => number
}

/** Starts the workers; they wait for `listen`. */
export function createWorkerPool(options: PoolOptions): Answering {
  const { count, log, metrics, sleep, texts } = options
  const closing = new AbortController()
  const crew = createCrew({ ...options, onCount: metrics.setWorkers })
  const first = Array.from({ length: count }, crew.start)

  async function replace(
    ended: WorkerProcess,
    { cause, reason }: End,
    afterMs: number,
  ): Promise<WorkerProcess | undefined> {
    metrics.recordWorkerEnd(cause)
    log.error('a worker ended; it is replaced', { worker: ended.pid, cause, reason, afterMs })
    if (cause === 'bug') void crew.killOverdue([ended], options.faultTimeoutMs)
    await sleep(afterMs, closing.signal).catch(() => undefined)
    if (closing.signal.aborted) return undefined
    const worker = crew.start()
    const port = await worker.serve(texts)
    if (port !== undefined) log.info('a worker took the place', { worker: worker.pid, of: ended.pid })
    return worker
  }

  /** Resolves when the pool closes. */
  async function keepReplaced(first: WorkerProcess): Promise<void> {
    const { restartMs, maxRestartMs, monotonicMs } = options
    let worker: WorkerProcess | undefined = first
    let beganMs = monotonicMs()
    let pauseMs = restartMs
    while (worker !== undefined) {
      const end: End = await worker.over
      if (closing.signal.aborted) return
      if (monotonicMs() - beganMs >= maxRestartMs) pauseMs = restartMs
      worker = await replace(worker, end, pauseMs)
      beganMs = monotonicMs()
      pauseMs = Math.min(pauseMs * 2, maxRestartMs)
    }
  }

  return {
    listen: async () => {
      const [port = 0] = await Promise.all(first.map((worker) => listenFirst(worker, texts)))
      for (const worker of first) {
        log.debug('a worker listens', { worker: worker.pid })
        void keepReplaced(worker)
      }
      return port
    },
    count: crew.countListening,
    stop: (stopping) => {
      closing.abort()
      return crew.stop(stopping)
    },
    measure: crew.measure,
    abandon: () => {
      closing.abort()
      for (const worker of crew.living()) worker.kill()
    },
  }
}

/** What the first workers cannot do, none can: it ends the start. */
async function listenFirst(worker: WorkerProcess, texts: Texts): Promise<number> {
  const port = await worker.serve(texts)
  if (port !== undefined) return port
  const { cause, reason } = await worker.gone
  throw cause === 'refused'
    ? new CommandError('cannotStart', reason)
    : new CommandError('failed', `a worker ended before it could listen: ${reason}`)
}
