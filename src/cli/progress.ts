/** A progress bar on the standard error of a terminal; nothing elsewhere. */
import type { Surroundings } from './command.ts'

export interface Progress {
  /** Shows how far something is, from 0 to 1. */
  readonly show: (what: string, fraction: number) => void
  /** Takes the bar away, so that a result can be written. */
  readonly clear: () => void
}

const barWidth = 30

/** A bar is drawn at most so often, in ms. */
const redrawMs = 100

export function createProgress({ err, isTerminal }: Surroundings, elapsedMs = () => performance.now()): Progress {
  if (!isTerminal) return { show: () => undefined, clear: () => undefined }
  let last = Number.NEGATIVE_INFINITY
  return {
    show(what, fraction) {
      if (elapsedMs() - last < redrawMs && fraction > 0) return
      last = elapsedMs()
      const full = Math.round(Math.min(Math.max(fraction, 0), 1) * barWidth)
      const percent = `${Math.round(fraction * 100)}`.padStart(3)
      err(`\r\u001b[2K${'█'.repeat(full)}${'░'.repeat(barWidth - full)} ${percent} %  ${what}`)
    },
    clear: () => err('\r\u001b[2K'),
  }
}
