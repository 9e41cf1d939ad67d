/**
 * Keeps a process beside the server that works when nothing else wants a processor: one that dies is started again, and one that hardly gets a processor
 * is replaced for a while by one that takes a share. A process cannot raise its own priority.
 */
import type { Logger } from '../telemetry/logger.ts'
import type { Priority, Surroundings } from './command.ts'
import { isStarved } from './starvation.ts'

export interface Beside extends Pick<Surroundings, 'runBeside'> {
  readonly args: readonly string[]
  /** What the process tells, but for its starvation. */
  readonly onMessage: (message: unknown) => void
  readonly log: Logger
  /** Rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>
  /** The longest wait before one that died is started again, in ms. */
  readonly maxPauseMs: number
}

/** How long to wait before one that died is started again, in ms; doubled each time. */
const firstPauseMs = 1000

/** For so long one that starved takes a share from the server, in ms: then the server may be less busy. */
export const lowForMs = 3_600_000

/** One process, until it ends, with the reason; `undefined` when it is the turn of one with another priority. */
async function runTurn(
  { runBeside, args, onMessage, sleep }: Beside,
  priority: Priority,
  signal: AbortSignal,
): Promise<string | undefined> {
  const turn = new AbortController()
  const ended = new AbortController()
  const either = AbortSignal.any([signal, ended.signal])
  if (priority === 'low')
    void sleep(lowForMs, either).then(
      () => turn.abort(),
      () => undefined,
    )
  const hear = (message: unknown): void => {
    if (isStarved(message)) turn.abort()
    else onMessage(message)
  }
  const low = priority === 'low' ? ['--low'] : []
  const reason = await runBeside([...args, ...low], hear, AbortSignal.any([signal, turn.signal]))
  ended.abort()
  return turn.signal.aborted ? undefined : reason
}

/** Resolves after the signal, when the process has ended. */
export async function keepBeside(beside: Beside, signal: AbortSignal): Promise<void> {
  const { log, sleep, maxPauseMs } = beside
  let pauseMs = firstPauseMs
  let priority: Priority = 'idle'
  while (!signal.aborted) {
    const reason = await runTurn(beside, priority, signal)
    if (signal.aborted) return
    if (reason === undefined) {
      if (priority === 'idle') log.warn('the sweeper hardly gets a processor; for an hour it takes a share of one')
      else log.info('the sweeper runs again only when nothing else wants a processor')
      priority = priority === 'idle' ? 'low' : 'idle'
      continue
    }
    log.error('the sweeper ended; it is started again', { reason, afterMs: pauseMs })
    await sleep(pauseMs, signal).catch(() => undefined)
    pauseMs = Math.min(pauseMs * 2, maxPauseMs)
  }
}
