/** A real server of several processes, as an operator starts it: what it printed, which processes it has, how it ends. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export interface Server {
  readonly pid: number
  readonly port: number
  readonly url: string
  readonly pulse: string
  /** The processes of its first workers. */
  readonly workers: readonly number[]
  readonly output: () => string
  /** Resolves with the first match of a pattern in what it prints; rejects when it ends without. */
  readonly printed: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly kill: (signal: NodeJS.Signals) => void
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>
}

export type Environment = Readonly<Record<string, string>>

const program = join(import.meta.dirname, '../../bin/berth.js')
const fault = join(import.meta.dirname, 'fault.ts')

/** Settings of a server of two workers on free ports, and a folder that goes with the test. */
export async function makeEnvironment(t: TestContext): Promise<Environment> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-workers-'))
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return {
    BERTH_STORAGE_FILESYSTEM_ROOT: join(folder, 'data'),
    BERTH_HTTP_PORT: '0',
    BERTH_PULSE_PORT: '0',
    BERTH_WORKERS_COUNT: '2',
    BERTH_LOG_LEVEL: 'debug',
    BERTH_LOG_FORMAT: 'json',
    BERTH_SWEEP_ENABLED: 'false',
    NODE_OPTIONS: `--import=${fault}`,
  }
}

/** Starts `berth serve`, whatever comes of it. */
export function spawnServer(t: TestContext, environment: Environment) {
  const child = spawn(process.execPath, [program, 'serve'], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, as a shell makes it: a Ctrl-C reaches all of it.
    detached: true,
  })
  let output = ''
  const watchers = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      output += text.toString()
      for (const watch of watchers) watch()
    })
  }
  const ended = once(child, 'close').then(([code]: (number | null)[]) => code ?? null)
  t.after(async () => {
    child.kill('SIGTERM')
    const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await ended
    clearTimeout(deadline)
  })
  const printed = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const watch = (): void => {
        const match = pattern.exec(output)
        if (match !== null) resolve(match)
      }
      watchers.add(watch)
      watch()
      void ended.then((code) => reject(new Error(`ended with ${code} and never printed ${pattern}: ${output}`)))
    })
  return {
    pid: child.pid ?? 0,
    output: () => output,
    printed,
    ended,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
  }
}

export async function startServer(t: TestContext, environment: Environment): Promise<Server> {
  const server = spawnServer(t, environment)
  const [, port, pulsePort] = await server.printed(/"port":(\d+).*"pulse":\{.*?"port":(\d+)/)
  const workers = [...server.output().matchAll(/"a worker listens","worker":(\d+)/g)].map(([, pid]) => Number(pid))
  const [url, pulse] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${pulsePort}`]
  return { ...server, port: Number(port), url, pulse, workers }
}

/** Asks on a connection of its own; gives the status and whether the server wants the connection closed. */
export async function ask(url: string): Promise<{ readonly status: number; readonly connection: string | undefined }> {
  const asked = request(url, { agent: false, headers: { Connection: 'keep-alive' } }).end()
  const [response] = await once(asked, 'response')
  response.resume()
  await once(response, 'end')
  return { status: response.statusCode, connection: response.headers.connection }
}

/** The value of a metric: the sum over its labels. */
export async function readMetric({ pulse }: Pick<Server, 'pulse'>, name: string): Promise<number> {
  const text = await (await fetch(`${pulse}/metrics`)).text()
  const samples = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
