/** A command line whose outside world is the test. */
import type { Surroundings } from '../../src/cli/command.ts'
import { runCommandLine } from '../../src/cli/command-line.ts'

export interface Run {
  /** Resolves with the exit code. */
  readonly done: Promise<number>
  readonly out: () => string
  readonly err: () => string
  /** Sends the signal to stop. */
  readonly stop: () => void
  /** Resolves with the first match of a pattern in the standard output; rejects when the run ends without it. */
  readonly printed: (pattern: RegExp) => Promise<RegExpExecArray>
}

export interface RunOptions {
  readonly environment?: Surroundings['environment']
  readonly isTerminal?: boolean
  /** Called when memory is given back. */
  readonly giveBack?: () => void
}

/** Starts a command line. */
export function startRun(
  args: readonly string[],
  { environment = {}, isTerminal = false, giveBack = () => undefined }: RunOptions = {},
): Run {
  let out = ''
  let err = ''
  const stops = new Set<(signal: string) => void>()
  const watchers = new Set<() => void>()
  const done = runCommandLine(args, {
    environment,
    isTerminal,
    out: (text) => {
      out += text
      for (const watch of watchers) watch()
    },
    err: (text) => {
      err += text
    },
    onStop: (listener) => {
      stops.add(listener)
      return () => stops.delete(listener)
    },
    // No process is started: what would run there has tests of its own.
    runBeside: (_args, _onMessage, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve('stopped'))
      }),
    processors: 1,
    startWorker: () => {
      throw new Error('no worker is started where one processor is')
    },
    onUncaught: () => () => undefined,
    parent: { tell: () => Promise.resolve(), onMessage: () => undefined, onGone: () => undefined },
    background: {
      lowerPriority: (to) => to,
      waitedMs: () => undefined,
      usedMs: () => 0,
      pause: () => undefined,
      giveBack,
    },
  })
  const printed = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const watch = (): void => {
        const match = pattern.exec(out)
        if (match !== null) resolve(match)
      }
      watchers.add(watch)
      watch()
      void done.then((code) => reject(new Error(`ended with ${code} before it printed ${pattern}: ${out}${err}`)))
    })
  return {
    done,
    printed,
    out: () => out,
    err: () => err,
    stop: () => {
      for (const listener of stops) listener('SIGTERM')
    },
  }
}

/** Runs a command line to its end. */
export async function run(args: readonly string[], options?: RunOptions) {
  const started = startRun(args, options)
  const code = await started.done
  return { code, out: started.out(), err: started.err() }
}
