/**
 * Keeps a process beside the server that works when nothing else wants a processor: one that dies is started again, and one that hardly gets a processor
 * is replaced for a while by one that takes a share. A process cannot raise its own priority without privileges.
 */
import type { Logger } from '../telemetry/logger.ts'
import type { Priority, Surroundings } from './command.ts'
import { isStarved } from './starvation.ts'

export interface Beside extends Pick<Surroundings, 'runBeside'> {
  readonly args: readonly string[]
  /** What the process tells, but for its starvation. */
  readonly onMessage: (message: unknown) => void
  readonly log: Logger
  /** A monotonic clock, in ms. */
  readonly monotonicMs: () => number
  /** Rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>
  /** The longest wait before one that died is started again, in ms. */
  readonly maxPauseMs: number
}

/** How long to wait before one that died is started again, in ms; doubled each time. */
const firstPauseMs = 1000

/**
 * For so long one that starved takes a share from the server, in ms: then the server may be less busy. Far longer than a scrub waits before it goes on
 * where another process left it.
 */
export const lowForMs = 6 * 3_600_000

/** Until when a process has its priority, by the monotonic clock; one that is idle until it starves. */
interface Turn {
  readonly priority: Priority
  readonly until: number
}

const idle: Turn = { priority: 'idle', until: Number.POSITIVE_INFINITY }

/** One process, until it ends, with the reason; `undefined` when it was stopped because its turn is over. */
async function runTurn(
  { runBeside, args, onMessage, sleep, monotonicMs }: Beside,
  { priority, until }: Turn,
  signal: AbortSignal,
): Promise<string | undefined> {
  const over = new AbortController()
  const ended = new AbortController()
  if (priority === 'low') {
    sleep(Math.max(until - monotonicMs(), 0), AbortSignal.any([signal, ended.signal])).then(
      () => over.abort(),
      () => undefined,
    )
  }
  const hear = (message: unknown): void => {
    if (!isStarved(message)) onMessage(message)
    else if (priority === 'idle') over.abort()
  }
  const low = priority === 'low' ? ['--low'] : []
  try {
    const reason = await runBeside([...args, ...low], hear, AbortSignal.any([signal, over.signal]))
    return over.signal.aborted ? undefined : reason
  } finally {
    ended.abort()
  }
}

/** Resolves after the signal, when the process has ended. */
export async function keepBeside(beside: Beside, signal: AbortSignal): Promise<void> {
  const { log, sleep, maxPauseMs, monotonicMs } = beside
  let pauseMs = firstPauseMs
  let turn = idle
  while (!signal.aborted) {
    const reason = await runTurn(beside, turn, signal)
    if (signal.aborted) return
    if (reason !== undefined) {
      log.error('the sweeper ended; it is started again', { reason, afterMs: pauseMs })
      await sleep(pauseMs, signal).catch(() => undefined)
      pauseMs = Math.min(pauseMs * 2, maxPauseMs)
    }
    if (reason === undefined && turn === idle) {
      log.warn('the sweeper hardly gets a processor; for six hours it takes a share of one')
      turn = { priority: 'low', until: monotonicMs() + lowForMs }
    } else if (reason === undefined || monotonicMs() >= turn.until) {
      log.info('the sweeper runs again only when nothing else wants a processor')
      turn = idle
    }
  }
}
