/**
 * `node test/bench/sweep.ts [RECORDS] [GARBAGE] [FOLDER]`: how fast the sweep frees blobs that nothing names, among records that it must leave alone, and what pulls
 * feel of it: their latency at a fixed rate while the sweep runs and while it is stopped, in turns; of whole images, and of manifests alone. A FOLDER that
 * `writeFullStore` has filled before is used as it is. A measurement, never a test.
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Registry, startBerth } from '../clients/berth.ts'
import { childrenOf, isSweeper } from '../clients/children.ts'
import { listRepositories, writeFullStore } from './full-store.ts'
import { latencyOf, measurePulls, type Pull, pushImages } from './pull-latency.ts'

const records = Number(process.argv[2] ?? 1_000_000)
const garbage = Number(process.argv[3] ?? 100_000)
const roundSeconds = 12
const manifestsPerSecond = 200
const rounds = 5

const filled = process.argv[4]
const root = filled ?? (await mkdtemp(join(tmpdir(), 'berth-bench-sweep-')))
const env = {
  BERTH_STORAGE_FILESYSTEM_ROOT: root,
  BERTH_LOG_LEVEL: 'warn',
  BERTH_REGISTRY_LEASE: '1s',
  BERTH_SWEEP_UPLOAD_IDLE: '1s',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
}

/** What is pulled, and what was measured of it, a list a round. */
class Kind {
  readonly during: (readonly number[])[] = []
  readonly quiet: (readonly number[])[] = []
  readonly name: string
  readonly pulls: readonly Pull[]
  readonly perSecond: number

  constructor(name: string, pulls: readonly Pull[], perSecond: number) {
    this.name = name
    this.pulls = pulls
    this.perSecond = perSecond
  }

  measure(url: string): Promise<readonly number[]> {
    return measurePulls(url, this.pulls, { seconds: roundSeconds, perSecond: this.perSecond })
  }

  print(): void {
    const row = (name: string, during: readonly number[], quiet: readonly number[]): void => {
      const [a, b] = [latencyOf(during), latencyOf(quiet)]
      const of = ({ p50, p99 }: typeof a): string => `p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} ms`
      console.log(
        `${this.name} ${name}: sweeping ${of(a)}   quiet ${of(b)}   ratio of p99 ${(a.p99 / b.p99).toFixed(2)}`,
      )
    }
    for (const [i, during] of this.during.entries()) row(`round ${i + 1}`, during, this.quiet[i] ?? [])
    row('all', this.during.flat(), this.quiet.flat())
    console.log(`${this.name}: ${this.during.flat().length} pulls while sweeping, as many quiet`)
  }
}

/** Whether a process has taken SCHED_IDLE, as a sweeper does when it has loaded (proc(5), `stat`: `policy`, counted from what follows the name). */
function isIdle(pid: number): boolean {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')
  return fields?.[38] === '5'
}

/** The process beside a server that sweeps, stopped before it sweeps: that it loads is no part of a sweep. Throws where it does not take SCHED_IDLE. */
async function stopSweeper({ pid }: Registry): Promise<number> {
  for (const end = performance.now() + 10_000; performance.now() < end;) {
    const found = childrenOf(pid).find(isSweeper)
    if (found !== undefined && isIdle(found)) {
      process.kill(found, 'SIGSTOP')
      return found
    }
    await sleep(5)
  }
  throw new Error('no sweeper took SCHED_IDLE within 10 s: is chrt there?')
}

async function countData(): Promise<number> {
  return (await readdir(join(root, 'data'))).length
}

try {
  console.log(`${records} records and ${garbage} blobs that nothing names`)
  const size = { records, garbage }
  const repositories = filled === undefined ? writeFullStore(root, size) : listRepositories(size)
  await sleep(1100)
  const berth = await startBerth({ folder: root, env: { ...env, BERTH_SWEEP_ENABLED: 'false' } })
  const manifests = Array.from({ length: rounds * roundSeconds * manifestsPerSecond }, (_, i): Pull => {
    const repository = repositories[(i * 7919) % repositories.length]
    return { manifest: `/v2/${repository}/manifests/v${(i * 104_729) % 100}`, blobs: [] }
  })
  const kinds = [
    new Kind('images', await pushImages(berth.url, 10), 10),
    new Kind('manifests', manifests, manifestsPerSecond),
  ]
  const all = await countData()
  // Another server on the store, which sweeps as every server does, as soon as it is there.
  const sweeping = await startBerth({
    folder: root,
    env: { ...env, BERTH_SWEEP_INTERVAL: '1s', BERTH_LOG_LEVEL: 'info' },
  })
  const sweeper = await stopSweeper(sweeping)
  // What runs for the first time is compiled, and what is read for the first time comes from the disk.
  for (const kind of kinds) await kind.measure(berth.url)
  process.kill(sweeper, 'SIGCONT')
  const started = performance.now()
  const hasEnded = (): boolean => {
    // Nothing that was measured beside a sweep that failed is worth printing.
    if (sweeping.output().includes('a sweep failed')) throw new Error(sweeping.output())
    return sweeping.output().includes('swept')
  }
  let stoppedMs = 0
  for (let round = 0; round < rounds && !hasEnded(); round++) {
    for (const kind of kinds) kind.during.push(await kind.measure(berth.url))
    process.kill(sweeper, 'SIGSTOP')
    const stopped = performance.now()
    for (const kind of kinds) kind.quiet.push(await kind.measure(berth.url))
    process.kill(sweeper, 'SIGCONT')
    stoppedMs += performance.now() - stopped
  }
  for (const kind of kinds) kind.print()
  while (!hasEnded()) await sleep(100)
  const seconds = (performance.now() - started - stoppedMs) / 1000
  const freed = all - (await countData())
  console.log(`${freed} blobs in ${seconds.toFixed(1)} s: ${Math.round(freed / seconds)} a second`)
  console.log(
    sweeping
      .output()
      .split('\n')
      .find((line) => line.includes('swept')),
  )
  await sweeping.stop()
  await berth.stop()
} finally {
  if (filled === undefined) await rm(root, { recursive: true, force: true })
}
