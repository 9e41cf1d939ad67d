/**
 * `npm run mixed -- --minutes N [--seed S] [--clients C]`: clients pull (75 %) and push (25 %) images at a Berth as it starts by default. Prints a table
 * with a row a minute, and ends with 1 when an answer was 5xx or not what it must be, or when memory or open files have grown; `chart.ts` says what growing is.
 */
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createRandom } from '../replicas/random.ts'
import { type Chart, createChart, findGrowth, type Sample } from './chart.ts'
import { createClient, type Image } from './client.ts'
import { readTree } from './processes.ts'
import { leaseMs, type Server, startServer } from './server.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(randomInt(1_000_000)) },
    clients: { type: 'string', default: '8' },
  },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
const clients = Number(values.clients)
if (![minutes, seed, clients].every((value) => value > 0))
  throw new Error('minutes, seed and clients are numbers above 0')

/** Long enough for every kind of request: each has its code loaded, and what files a process keeps, it has open. */
const warmUpMs = 10_000

/** Until the clients' connections are closed, what was abandoned is swept, and leases of what was deleted have ended. */
const restMs = leaseMs + 15_000

const sampleMs = 1000

const problems: string[] = []
const images = new Set<Image>()

async function work(server: Server, durationMs: number, chart: Chart): Promise<void> {
  const agent = new Agent({ keepAlive: true })
  const line = { agent, url: server.url, onAnswer: chart.countAnswer }
  const end = performance.now() + durationMs
  await Promise.all(
    Array.from({ length: clients }, async (_, number) => {
      const random = createRandom(seed + number)
      const { pull, push } = createClient({ name: `${durationMs}-${number}`, line, random, images })
      while (performance.now() < end) {
        const what = random.below(4) === 0 ? 'push' : 'pull'
        // What is wrong is told in the end; the others go on.
        await (what === 'push' ? push() : pull()).catch((error: unknown) => problems.push(String(error)))
        chart.countDone(what)
      }
    }),
  )
  agent.destroy()
}

async function watch(server: Server, end: AbortSignal, onSample: (sample: Sample) => void): Promise<void> {
  while (!end.aborted) {
    onSample({ processes: await readTree(server.pid) })
    await sleep(sampleMs, undefined, { signal: end }).catch(() => undefined)
  }
}

async function rest(server: Server): Promise<Sample> {
  await sleep(restMs)
  return { processes: await readTree(server.pid) }
}

const filesOf = ({ processes }: Sample): number => processes.reduce((sum, { files }) => sum + files, 0)

function report({ render, answers }: Chart, before: Sample, after: Sample): number {
  for (const row of render()) console.log(row)
  for (const problem of problems.slice(0, 60)) console.log(`! ${problem.slice(0, 600)}`)
  const statuses = [...answers].sort(([left], [right]) => left - right)
  console.log(
    `mixed: ${minutes} minutes, seed ${seed}; at rest ${filesOf(before)} open files before, ${filesOf(after)} after; answers ${statuses.map(([status, count]) => `${status}: ${count}`).join(', ')}; problems ${problems.length}`,
  )
  return problems.length
}

const folder = await mkdtemp(join(tmpdir(), 'berth-mixed-'))
const server = await startServer(folder)
console.log(`mixed: seed ${seed}, ${minutes} minutes, ${clients} clients, 75 % pulls, 25 % pushes`)
let failures = 1
try {
  await work(
    server,
    warmUpMs,
    createChart(() => 0),
  )
  const before = await rest(server)
  const beganAt = performance.now()
  const chart = createChart(() => performance.now() - beganAt)
  const end = new AbortController()
  const watching = watch(server, end.signal, chart.addSample)
  await work(server, minutes * 60_000, chart)
  end.abort()
  await watching
  const after = await rest(server)
  problems.push(...server.complaints, ...findGrowth(chart.samples, { before, after }))
  failures = report(chart, before, after)
} finally {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
}
process.exit(failures === 0 ? 0 : 1)
