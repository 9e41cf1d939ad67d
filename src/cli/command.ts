/** What a command of the command line is, and what it may use of the outside world. */
import type { Yielding } from '../storage/yielding.ts'
import type { Environment } from '../config/environment.ts'

/** How a run ended, for scripts; `berth help` prints the same. */
export const exitCodes = {
  ok: { code: 0, meaning: 'it did what was asked' },
  failed: { code: 1, meaning: 'it failed; the last line says why' },
  refused: { code: 2, meaning: 'the command line or the configuration is wrong; nothing was started' },
  cannotStart: { code: 3, meaning: 'a port is taken, or the store cannot be used' },
  found: { code: 4, meaning: 'it went through everything, and something is not as it should be; it says what' },
} as const

export type Outcome = keyof typeof exitCodes

/** Ends a command: the message is what a person needs to go on, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly outcome: Exclude<Outcome, 'ok'>

  constructor(outcome: CommandError['outcome'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.outcome = outcome
  }
}

/** The outside world, so that tests can be it. */
export interface Surroundings {
  readonly environment: Environment
  /** Writes to the standard output. */
  readonly out: (text: string) => void
  /** Writes to the standard error. */
  readonly err: (text: string) => void
  /** Whether a person reads the standard output. */
  readonly isTerminal: boolean
  /** Calls the listener at every signal to stop (SIGINT, SIGTERM), until the returned function is called. */
  readonly onStop: (listener: (signal: string) => void) => () => void
  /**
   * Runs `berth` with these arguments as a process beside this one, until it ends (resolves with why) or the signal stops it. What it tells
   * goes to `onMessage`; its errors go where ours go.
   */
  readonly runBeside: (
    args: readonly string[],
    onMessage: (message: unknown) => void,
    signal: AbortSignal,
  ) => Promise<string>
  /** How many processors this process may use. */
  readonly processors: number
  /** Starts `berth` with these arguments as a process that listens on the ports of this one. It ends with this one. */
  readonly startWorker: (args: readonly string[], onMessage: (message: unknown) => void) => Child
  /** Calls the listener for every error that nobody caught, until the returned function is called; without a listener the process ends. */
  readonly onUncaught: (listener: (error: unknown) => void) => () => void
  /** The process that started this one by `runBeside` or `startWorker`; told nothing when there is none. */
  readonly parent: Parent
  readonly background: Background
}

/** A process that was started by this one. */
export interface Child {
  readonly pid: number
  /** Does nothing when it has ended. */
  readonly tell: (message: object) => void
  readonly ended: Promise<{ readonly reason: string; readonly wasKilled: boolean }>
  /** Ends it at once. */
  readonly kill: () => void
}

export interface Parent {
  /** Resolves when the message is on its way. */
  readonly tell: (message: object) => Promise<void>
  readonly onMessage: (listener: (message: unknown) => void) => void
  readonly onGone: (listener: () => void) => void
}

/** `idle`: runs only where no other process wants to; `low`: is given less, a tenth of a processor that others keep busy. */
export type Priority = 'idle' | 'low'

/** What a process can do to leave the processor to others. */
export interface Background extends Pick<Yielding, 'usedMs' | 'pause'> {
  /** Lets other processes go first, for good; tells whether this one runs only where no other wants to. What is not possible here becomes `low`. */
  readonly lowerPriority: (to: Priority) => Priority
  /** How long this process could have run and had to wait for a processor, ms; `undefined` where the kernel does not tell. */
  readonly waitedMs: () => number | undefined
  /** Gives the memory of what was dropped back to the system; nothing else runs meanwhile, for up to a second. */
  readonly giveBack: () => void
}

/** An option: `--config FILE`, or without a value `--dry-run`. */
export interface CommandOption {
  readonly value?: string
  readonly reason: string
}

/** What was given: options by name, and the words that are no options. */
export interface Given {
  readonly options: ReadonlyMap<string, string>
  readonly words: readonly string[]
}

export interface Command {
  /** One or two words: `serve`, `config check`. */
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  readonly options: Readonly<Record<string, CommandOption>>
  /** Started by Berth itself, not by people: left out of the help. */
  readonly isInternal?: true
  /** What the words that follow mean, e.g. `[COMMAND]`; absent: none may follow. */
  readonly words?: string
  /** Throws CommandError; anything else is a bug. */
  readonly run: (given: Given, surroundings: Surroundings) => Promise<void> | void
}

/** The option of every command that reads the configuration. */
export const configOption: Readonly<Record<string, CommandOption>> = {
  config: { value: 'FILE', reason: 'the configuration file; without it the variable BERTH_CONFIG, else none' },
}
