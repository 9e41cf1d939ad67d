/** What a probe of a store is made of: steps that try one thing each, below a prefix of their own of which nothing stays. */
import type { Driver, KeySpace } from '../driver.ts'

/** `warning`: it can be lived with. */
export type Outcome = 'ok' | 'warning' | 'failed' | 'not tried'

export interface Answer {
  readonly outcome: Outcome
  /** A figure, or a sentence that says what to do. */
  readonly said: string
}

export const ok = (said: string): Answer => ({ outcome: 'ok', said })
export const warning = (said: string): Answer => ({ outcome: 'warning', said })
export const failed = (said: string): Answer => ({ outcome: 'failed', said })
export const notTried = (said: string): Answer => ({ outcome: 'not tried', said })

/** What the steps work with. */
export interface Scratch {
  readonly driver: Driver
  readonly keySpace: KeySpace
  /** Where this probe alone writes; ends in `/`. */
  readonly prefix: string
  /** A key below the prefix; it is removed at the end. Without a name, a random one. */
  readonly key: (name?: string) => string
  readonly createId: () => string
  /** This machine's clock, ms since 1970. */
  readonly now: () => number
  /** Monotonic, ms. */
  readonly elapsedMs: () => number
  /**
   * Aborted when somebody wants the probe to end. Nothing small is cut by it: a write that was cut may land when everything has been removed. Steps look at it
   * between two calls.
   */
  readonly signal: AbortSignal
}

export interface Step {
  readonly name: string
  /** What it means when it fails. `first`: nothing else makes sense; `needed`: no registry can be kept there; `wished`: a warning. */
  readonly weight: 'first' | 'needed' | 'wished'
  /** What it throws is that it failed. */
  readonly run: (scratch: Scratch) => Promise<Answer>
}

/** What one kind of store has to be tried for beside the promises of every driver. */
export interface StoreProbe {
  readonly steps: readonly Step[]
  /** The bytes of one part of a large upload. */
  readonly partBytes: number
  /** Removes what no list of keys shows below a prefix, and tells how much of it stays. */
  readonly cleanUp: (prefix: string) => Promise<number>
  readonly close: () => Promise<void>
}

/** A folder has no parts, and hides nothing. */
export const folderProbe: StoreProbe = {
  steps: [],
  partBytes: 1024 * 1024,
  cleanUp: () => Promise.resolve(0),
  close: () => Promise.resolve(),
}

/** `3 ms`, `1.2 s`. */
export function showMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** What an action gave, and how long it took, ms. */
export async function timed<T>({ elapsedMs }: Pick<Scratch, 'elapsedMs'>, action: () => Promise<T>) {
  const start = elapsedMs()
  const value = await action()
  return { value, ms: elapsedMs() - start }
}
