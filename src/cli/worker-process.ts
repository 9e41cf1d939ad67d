/** One worker as its server sees it: what it is told, what it said, and how it ended. */
import type { Snapshot } from '../telemetry/merged-metrics.ts'
import type { WorkerEnd } from '../telemetry/worker-metrics.ts'
import type { Child } from './command.ts'
import type { Drained } from './listen.ts'
import { type Order, parseReport, type Texts } from './worker-messages.ts'

/** Why a worker is of no use any more. */
export interface End {
  readonly cause: WorkerEnd
  /** For the log. */
  readonly reason: string
}

export interface WorkerProcess {
  readonly pid: number
  /** Has it serve, once it can; resolves with the port when it listens, with nothing when it ended before. */
  readonly serve: (texts: Texts) => Promise<number | undefined>
  /** Resolves when it listens. */
  readonly listening: Promise<void>
  readonly isListening: () => boolean
  /** Resolves when it ends, or met a bug and is about to. */
  readonly over: Promise<End>
  /** Resolves when the process is gone. */
  readonly gone: Promise<End>
  /** Asks for what it has counted; resolves when it said so, or is gone. */
  readonly measure: () => Promise<void>
  /** What it said last of what it has counted. */
  readonly counted: () => Snapshot
  /** How its requests ended, once it said so. */
  readonly drained: () => Drained | undefined
  /** Does nothing when it is gone. */
  readonly tell: (order: Order) => void
  readonly kill: () => void
}

/** Starts a process and gives its messages to the listener. */
export type StartChild = (onMessage: (message: unknown) => void) => Child

/** Remembers what a worker says. */
function createEar() {
  const loaded = Promise.withResolvers<void>()
  const listening = Promise.withResolvers<void>()
  const faulty = Promise.withResolvers<End>()
  let measured = Promise.withResolvers<void>()
  const said: { port?: number; refusal?: string; drained?: Drained; counted: Snapshot } = { counted: [] }

  function hear(message: unknown): void {
    const report = parseReport(message)
    switch (report?.kind) {
      case 'loaded':
        return loaded.resolve()
      case 'listening':
        said.port = report.port
        return listening.resolve()
      case 'refused':
        said.refusal = report.message
        return
      case 'measured':
        said.counted = report.snapshot
        measured.resolve()
        measured = Promise.withResolvers()
        return
      case 'faulty':
        return faulty.resolve({ cause: 'bug', reason: 'an error that nobody caught' })
      case 'drained':
        said.drained = report.outcome
        return
      case undefined:
    }
  }
  return {
    hear,
    said,
    loaded: loaded.promise,
    listening: listening.promise,
    faulty: faulty.promise,
    nextMeasured: () => measured.promise,
  }
}

export function startWorkerProcess(start: StartChild): WorkerProcess {
  const { hear, said, loaded, listening, faulty, nextMeasured } = createEar()
  const child = start(hear)
  const gone = child.ended.then(({ reason, wasKilled }): End => {
    if (said.refusal !== undefined) return { cause: 'refused', reason: said.refusal }
    return { cause: wasKilled ? 'killed' : 'exited', reason }
  })
  const over = Promise.race([faulty, gone])
  let isOver = false
  void over.then(() => (isOver = true))
  const tell = (order: Order): void => child.tell(order)
  return {
    pid: child.pid,
    serve: async (texts) => {
      await Promise.race([loaded, gone])
      tell({ kind: 'serve', texts })
      await Promise.race([listening, gone])
      return said.port
    },
    listening,
    isListening: () => said.port !== undefined && !isOver,
    over,
    gone,
    measure: async () => {
      const measured = nextMeasured()
      tell({ kind: 'measure' })
      await Promise.race([measured, gone])
    },
    counted: () => said.counted,
    drained: () => said.drained,
    tell,
    kill: child.kill,
  }
}
