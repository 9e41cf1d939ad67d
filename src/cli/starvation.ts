/**
 * Whether this process hardly gets a processor. What runs only when nobody else wants to may never come to its end beside a server that is busy all day,
 * and what it should free goes on growing.
 */
import type { Background } from './command.ts'

/** What a process tells its parent when it hardly gets a processor. */
export const starved = { kind: 'starved' } as const

export function isStarved(message: unknown): message is typeof starved {
  return typeof message === 'object' && message !== null && 'kind' in message && message.kind === starved.kind
}

/** Longer than a burst of requests; in ms. */
export const starvationWindowMs = 60_000

/** Of a window, the least that it has to have waited: who rarely wants to run starves of nothing. */
const minWaitingShare = 0.5

/** Of the time that it wanted to run, the least that it has to have run. */
const minRunningShare = 0.05

/** Asked once each window; true when this process got nearly nothing of what it wanted since the last time. Never where the kernel does not tell. */
export function createStarvationWatch({
  usedMs,
  waitedMs,
  elapsedMs,
}: Pick<Background, 'usedMs' | 'waitedMs'> & { readonly elapsedMs: () => number }): () => boolean {
  const look = (): { readonly ran: number; readonly waited: number; readonly at: number } => ({
    ran: usedMs(),
    waited: waitedMs() ?? 0,
    at: elapsedMs(),
  })
  let last = look()
  return () => {
    const now = look()
    const [ran, waited, passed] = [now.ran - last.ran, now.waited - last.waited, now.at - last.at]
    last = now
    return waited >= passed * minWaitingShare && ran < (ran + waited) * minRunningShare
  }
}
