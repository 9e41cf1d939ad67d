/** Runs several processes on one folder for a while, some of them killed again and again, and returns what they wrote down. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a worker of one run does; see `hammer-worker.ts`. */
export type Scenario = 'create' | 'take back' | 'replace'

/** What a worker is told, as JSON in its first argument. */
export interface Orders {
  readonly scenario: Scenario
  readonly root: string
  readonly log: string
  readonly index: number
}

/** What a worker is told when it has said that it is ready: ms of the clock that all processes share. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** For how long a hammer runs; the environment asks for more when somebody wants to be sure. */
export const hammerMs = Number(process.env['BERTH_HAMMER_MS'] ?? 1800)

/** Each key of the scenarios that go through many keys is fought for in its own slot. */
export const slotMs = 8

/** Milliseconds of CLOCK_MONOTONIC: one clock for all processes. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/**
 * Runs a scenario; all but the first two of `processes` are killed in turn. All begin together, however long each takes to start. Returns
 * every line that was written down, parsed.
 */
export async function hammer(
  scenario: Scenario,
  { root, logs, processes }: { readonly root: string; readonly logs: string; readonly processes: number },
): Promise<{ readonly lines: unknown[]; readonly kills: number }> {
  let started = 0
  const launch = (index: number): ChildProcess => {
    const orders: Orders = { scenario, root, log: join(logs, `${index}-${started++}`), index }
    return fork(join(import.meta.dirname, 'hammer-worker.ts'), [JSON.stringify(orders)], { stdio: 'inherit' })
  }
  const workers = Array.from({ length: processes }, (_, index) => launch(index))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const start = sharedClock()
  const span: Span = { start, end: start + hammerMs }
  for (const worker of workers) worker.send(span)
  const kills = await killInTurn(workers, launch, span)
  const codes = await Promise.all(workers.map(ended))
  if (codes.some((code) => code !== 0)) throw new Error(`a worker failed: ${codes.join(', ')}`)
  const lines = readdirSync(logs).flatMap((name) => parseLines(readFileSync(join(logs, name), 'utf8')))
  return { lines, kills }
}

async function killInTurn(workers: ChildProcess[], launch: (index: number) => ChildProcess, span: Span) {
  let kills = 0
  for (let turn = 0; ; turn++) {
    // Prime, so that kills drift through the slots.
    await sleep(Math.min(311, hammerMs / 2))
    if (turn > 0 && sharedClock() > span.end) return kills
    const index = 2 + (turn % (workers.length - 2))
    const victim = workers[index]
    if (victim === undefined) continue
    victim.kill('SIGKILL')
    await ended(victim)
    kills++
    const next = launch(index)
    next.once('message', () => next.send(span))
    workers[index] = next
  }
}

async function ended(worker: ChildProcess): Promise<number | null> {
  if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit')
  return worker.exitCode
}

function parseLines(text: string): unknown[] {
  // A line without an end was being written when its process was killed.
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line))
}
