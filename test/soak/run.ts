/**
 * `npm run soak -- --minutes N [--seed S] [--clients C] [--storage filesystem|s3] [--no-retention]`: clients push, pull, re-tag and delete on two servers that sweep and follow
 * retention rules, while processes are killed and paused.
 * Nothing acknowledged may be lost, and in the end nothing else may be left. Ends with 1 when that is not so. The seed repeats the choices; the order in
 * which the processes answer is theirs.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createRandom } from '../replicas/random.ts'
import { createAsk } from './ask.ts'
import { createClient } from './client.ts'
import { createContent } from './content.ts'
import { findLeftovers, type Leftovers } from './leftovers.ts'
import { createModel, type Model } from './model.ts'
import { createReader } from './reader.ts'
import { createMemoryChart, printCounts, say } from './report.ts'
import { createRetainedClient } from './retained.ts'
import { findStaying, retentionRules } from './rules.ts'
import { leaseMs, type Servers, startServers } from './servers.ts'
import { createStore, type SharedStore } from '../replicas/store.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(randomInt(1_000_000)) },
    clients: { type: 'string' },
    storage: { type: 'string', default: 'filesystem' },
    retention: { type: 'boolean', default: true },
  },
  allowNegative: true,
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
/** On a bucket they keep two processors busy sooner, and a sweeper that gets none never comes to the end of a run. */
const clients = Number(values.clients ?? (values.storage === 's3' ? 3 : 6))
if (![minutes, seed, clients].every((value) => value > 0))
  throw new Error('minutes, seed and clients are numbers above 0')
const kind = values.storage
if (kind !== 'filesystem' && kind !== 's3') throw new Error('--storage is filesystem or s3')

const repositories = ['team/one', 'team/two', 'other/three']
const durationMs = minutes * 60_000
const beganAt = performance.now()
const elapsedMs = (): number => performance.now() - beganAt
const isOver = (): boolean => elapsedMs() >= durationMs

const model = createModel()
const counts = new Map<string, number>()
const count = (kind: string): void => void counts.set(kind, (counts.get(kind) ?? 0) + 1)
const troubles = { unanswered: 0, busy: 0 }
const chart = createMemoryChart(durationMs)

async function work(servers: Servers, { tickMs, slowness, maxBlobBytes }: SharedStore): Promise<void> {
  const random = createRandom(seed)
  const sharedBlobs = Array.from({ length: 12 }, () => createContent(random, maxBlobBytes))
  const workers = Array.from({ length: clients }, (_, number) => {
    const own = createRandom(seed + 1000 * (number + 1))
    const ask = createAsk(servers.urls, own, troubles)
    const shared = { name: `c${number}`, ask, random: own, model, repositories, sharedBlobs, maxBlobBytes, count }
    // Half a lease, told in ticks.
    const options = { ...shared, tickMs, promisedMs: leaseMs / 2 - tickMs }
    const step = createClient(options)
    if (!values.retention) return step
    const retained = createRetainedClient(options)
    return () => (own.below(5) === 0 ? retained() : step())
  })
  await Promise.all([
    ...workers.map(async (step) => {
      while (!isOver()) {
        // What is unexplained is told in the end; the others go on.
        await step().catch((error: unknown) => model.problems.push(String(error)))
      }
    }),
    disturb(servers, slowness),
    runByHand(servers, 'gc', seed + 2),
    values.retention && runByHand(servers, 'retention', seed + 3),
    watchMemory(servers),
  ])
}

/** Every few seconds, and more seldom where a run of a sweeper takes longer than that. For a third of the time each of the servers is spared, so that one can be seen to grow. */
async function disturb(servers: Servers, slowness: number): Promise<void> {
  const random = createRandom(seed + 1)
  while (!isOver()) {
    await sleep(slowness * (1500 + random.below(3000)))
    const third = Math.floor((elapsedMs() / durationMs) * 3)
    await servers.disturb(random, third === 0 ? undefined : third - 1)
  }
}

/** Every ten seconds or so; half of the runs are killed. */
async function runByHand(servers: Servers, command: 'gc' | 'retention', ownSeed: number): Promise<void> {
  const random = createRandom(ownSeed)
  while (!isOver()) {
    await sleep(5000 + random.below(10_000))
    await servers.byHand(command, random.below(2) === 0 ? 200 + random.below(1000) : undefined)
    count(`berth ${command}`)
  }
}

async function watchMemory(servers: Servers): Promise<void> {
  while (!isOver()) {
    servers.sampleMemory((kind, bytes) => chart.add(kind, elapsedMs(), bytes))
    await sleep(500)
  }
}

/** All the time, also while everything is read in the end: what was disturbed last may end by itself a moment later. */
function keepAlive(servers: Servers): () => void {
  const timer = setInterval(() => servers.revive(), 500)
  return () => clearInterval(timer)
}

/** Everything that was acknowledged, from both servers. */
async function readAll(servers: Servers): Promise<void> {
  for (const url of servers.urls) {
    const ask = createAsk([url], createRandom(seed), troubles)
    const all = createReader(ask, createRandom(seed), model, () => undefined)
    for (const image of model.images) await all.pull(image)
    for (const tag of model.tags.values()) await all.pullTag(tag)
    for (const repository of model.shared.keys()) await all.pullShared(repository)
    for (const retained of model.retained) {
      for (const fact of findStaying(retained)) await all.pullRetained(retained, fact)
    }
  }
}

/** Until nothing is left that retention or a sweep could see, but not for ever: what an index names goes a run after the index. */
async function sweepAll(
  servers: Servers,
  store: SharedStore,
): Promise<{ readonly left: Leftovers; readonly temporary: number }> {
  await sleep(leaseMs + 1000)
  for (let run = 1; ; run++) {
    if (values.retention) process.stdout.write((await servers.byHand('retention')).replace(/^remove .*\n/gm, ''))
    process.stdout.write(await servers.byHand('gc'))
    const driver = await store.open()
    try {
      const left = await findLeftovers(driver, model)
      if (left.left.length === 0 || run === 8) return { left, temporary: await driver.tidy() }
    } finally {
      await driver.close()
    }
    await sleep(leaseMs / 2)
  }
}

function report(servers: Servers, { left, temporary }: Awaited<ReturnType<typeof sweepAll>>, model: Model): number {
  const lost = [...model.lost, ...left.missing.map((key) => `${key} is missing`)]
  const problems = [...model.problems, ...servers.complaints()]
  printCounts('operations', counts)
  chart.print()
  const { killed, paused } = servers.counts
  say(
    `kills ${killed}, pauses ${paused}, requests without an answer ${troubles.unanswered}, answers 503 ${troubles.busy}; longest run by hand ${Math.round(servers.longestMs())} ms`,
  )
  const images = model.images.filter(({ state }) => state === 'present').length
  say(
    `in the end: ${images} manifests, ${model.tags.size} tags, ${left.keys} keys; temporary files or multipart uploads of killed processes ${temporary}`,
  )
  for (const [kind, keys] of left.scrubs)
    say(`for the scrub: ${keys.length} × ${kind}, e.g. ${keys.slice(0, 3).join(' ')}`)
  for (const line of [...lost, ...left.left, ...problems].slice(0, 60)) say(`! ${line.slice(0, 600)}`)
  const operations = [...counts.values()].reduce((sum, each) => sum + each, 0)
  say(
    `soak: ${minutes} minutes, seed ${seed}, ${operations} operations, ${killed} kills, lost ${lost.length}, left over ${left.left.length}, dead links ${left.deadLinks.length}, unexplained ${problems.length}`,
  )
  return lost.length + left.left.length + problems.length
}

const store = await createStore(kind)
const servers = await startServers(store, values.retention ? retentionRules : [])
say(
  `soak: ${kind}, seed ${seed}, ${minutes} minutes, ${clients} clients, ${values.retention ? 'with' : 'without'} retention`,
)
let failures = 1
const release = keepAlive(servers)
try {
  await work(servers, store)
  // What is unexplained is told with the rest, as what the servers complained of.
  await readAll(servers).catch((error: unknown) => model.problems.push(String(error)))
  release()
  await servers.stop()
  failures = report(servers, await sweepAll(servers, store), model)
} finally {
  release()
  await servers.stop()
  await store.close()
}
// What failed is kept to be looked at.
if (failures === 0) await store.remove()
else say(`the store is kept in ${store.folder}`)
process.exit(failures === 0 ? 0 : 1)
