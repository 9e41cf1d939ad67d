/**
 * `node test/bench/sweep.ts [RECORDS] [GARBAGE] [FOLDER]`: how fast the sweep frees blobs that nothing names, among records that it must leave alone, and what pulls
 * feel of it: their latency at a fixed rate while the sweep runs and while it is stopped, in turns. A FOLDER that `writeFullStore` has filled before is used as it is. A measurement, never a test.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startBerth } from '../clients/berth.ts'
import { listRepositories, writeFullStore } from './full-store.ts'
import { measurePulls } from './pull-latency.ts'

const records = Number(process.argv[2] ?? 1_000_000)
const garbage = Number(process.argv[3] ?? 100_000)
const roundSeconds = 8
const rounds = 5

const filled = process.argv[4]
const root = filled ?? (await mkdtemp(join(tmpdir(), 'berth-bench-sweep-')))
const env = {
  BERTH_STORAGE_FILESYSTEM_ROOT: root,
  BERTH_LOG_LEVEL: 'warn',
  BERTH_SWEEP_ENABLED: 'false',
  BERTH_REGISTRY_LEASE: '1s',
  BERTH_SWEEP_UPLOAD_IDLE: '1s',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
}

async function countData(): Promise<number> {
  return (await readdir(join(root, 'data'))).length
}

try {
  console.log(`${records} records and ${garbage} blobs that nothing names`)
  const size = { records, garbage }
  const repositories = filled === undefined ? writeFullStore(root, size) : listRepositories(size)
  await sleep(1100)
  const berth = await startBerth({ folder: root, env })
  const all = await countData()
  const gc = spawn(process.execPath, [join(import.meta.dirname, '../../bin/berth.js'), 'gc'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const started = performance.now()
  const ended = new Promise((resolve) => gc.once('exit', resolve))
  let stoppedMs = 0
  for (let round = 0; round < rounds && gc.exitCode === null; round++) {
    const during = await measurePulls(berth.url, repositories, roundSeconds)
    gc.kill('SIGSTOP')
    const stopped = performance.now()
    const quiet = await measurePulls(berth.url, repositories, roundSeconds)
    gc.kill('SIGCONT')
    stoppedMs += performance.now() - stopped
    const line = (name: string, { p50, p99 }: typeof quiet): string =>
      `${name} p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} ms`
    console.log(
      `${line('sweeping', during)}   ${line('quiet', quiet)}   ratio of p99 ${(during.p99 / quiet.p99).toFixed(2)}`,
    )
  }
  await ended
  const seconds = (performance.now() - started - stoppedMs) / 1000
  const freed = all - (await countData())
  console.log(`${freed} blobs in ${seconds.toFixed(1)} s: ${Math.round(freed / seconds)} a second`)
  await berth.stop()
} finally {
  if (filled === undefined) await rm(root, { recursive: true, force: true })
}
