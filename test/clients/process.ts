/** Runs the programs and daemons of these tests: the one place for time limits, captured output and stopping by PID. */
import { spawn } from 'node:child_process'
import type { ChildProcess, SpawnOptions } from 'node:child_process'

export interface RunOptions {
  readonly cwd?: string
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  readonly timeoutMs?: number
}

export interface Outcome {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface Daemon {
  readonly pid: number
  /** Everything it has printed so far. */
  readonly output: () => string
  readonly hasExited: () => boolean
  /** SIGTERM, and SIGKILL when that did not help within ten seconds. */
  readonly stop: () => Promise<void>
  readonly kill: (signal: NodeJS.Signals) => void
}

/** Runs a program to its end and returns what it printed, whatever its exit code. */
export async function attempt(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const signal = AbortSignal.timeout(options.timeoutMs ?? 120_000)
  const child = spawn(command, args, { ...spawnOptions(options), signal, killSignal: 'SIGKILL' })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(options.input)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new Error(`${command} ${args.join(' ')}: ${error.message}`, { cause: error })),
    )
    child.once('close', resolve)
  })
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }
}

/** Runs a program that must succeed and returns its standard output, trimmed. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return (await runForBytes(command, args, options)).toString().trim()
}

/** Runs a program that must succeed and returns its standard output byte for byte. */
export async function runForBytes(command: string, args: readonly string[], options: RunOptions = {}): Promise<Buffer> {
  const { code, stdout, stderr } = await attempt(command, args, options)
  if (code !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} ended with ${code}\n${stderr}\n${stdout.subarray(0, 4000).toString()}`,
    )
  }
  return stdout
}

/** Starts a program that stays, until `stop` or the end of this process. */
export function startDaemon(command: string, args: readonly string[], options: RunOptions = {}): Daemon {
  const child = spawn(command, args, spawnOptions(options))
  const output: string[] = []
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk.toString()))
  child.stdin?.end()
  child.once('error', (error) => output.push(`${command}: ${error.message}\n`))
  const hasExited = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null
  const killAtExit = (): boolean => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  return {
    pid: child.pid ?? -1,
    output: () => output.join(''),
    hasExited,
    kill: (signal) => child.kill(signal),
    stop: async () => {
      process.removeListener('exit', killAtExit)
      if (!hasExited()) await stopChild(child)
    },
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await exited
  clearTimeout(deadline)
}

function spawnOptions({ cwd, env }: RunOptions): SpawnOptions {
  // What the person who runs the tests has configured for a Berth of theirs must not reach ours.
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('BERTH_')))
  return { stdio: 'pipe', env: { ...inherited, ...env }, ...(cwd === undefined ? {} : { cwd }) }
}

/** Asks `isReady` again and again; gives up when the daemon has exited or the time is over, and says what it printed. */
export async function waitUntilReady(
  what: string,
  daemon: Daemon,
  isReady: () => Promise<boolean>,
  { timeoutMs = 30_000, everyMs = 50 }: { readonly timeoutMs?: number; readonly everyMs?: number | undefined } = {},
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await isReady().catch(() => false))) {
    if (daemon.hasExited() || Date.now() > deadline) {
      await daemon.stop()
      throw new Error(`${what} did not get ready\n${daemon.output()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
