/** `berth gc`: one sweep by hand, beside a server that runs or not; on a store that copies it waits for the copy window and goes on then. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SweepCounts, SweepPhase } from '../registry/sweep/context.ts'
import { type Hand, loadLastingConfig, workByHand } from './by-hand.ts'
import type { Given, Surroundings } from './command.ts'
import { createConfiguredSweep } from './housekeeping.ts'

const phases: Readonly<Record<SweepPhase, string>> = {
  pushes: 'pushes that were abandoned',
  garbage: 'what may have lost its last use',
  uploads: 'uploads that ended',
  leftovers: 'leftovers of processes that were killed',
}

const rows: readonly (readonly [Exclude<keyof SweepCounts, 'failure'>, string])[] = [
  ['blobs', 'blobs'],
  ['freedBytes', 'bytes freed'],
  ['uploads', 'uploads ended'],
  ['pushes', 'pushes taken back'],
  ['tags', 'dead tags'],
  ['hints', 'dead hints'],
  ['marks', 'dead marks'],
  ['leftovers', 'temporary files'],
  ['waiting', 'looked at, and not due yet'],
  ['unreadable', 'records that cannot be read: run berth scrub'],
  ['failed', 'works that the store failed, left for the next run'],
]

/** The counts of a run, one a line. */
export function renderCounts(counts: SweepCounts, mode: 'sweep' | 'look'): string {
  const title = mode === 'look' ? 'A sweep would remove:' : 'Removed:'
  const width = Math.max(...rows.map(([name]) => counts[name].toLocaleString('en').length))
  const lines = rows.map(([name, words]) => `  ${counts[name].toLocaleString('en').padStart(width)}  ${words}`)
  const failure = counts.failure === undefined ? [] : [`The store failed first with: ${counts.failure}`]
  return `${[title, ...lines, ...failure].join('\n')}\n`
}

/** What was done in both runs; what was left, in the last. */
function addCounts(first: SweepCounts, last: SweepCounts): SweepCounts {
  const done = ['pushes', 'uploads', 'tags', 'hints', 'marks', 'blobs', 'freedBytes', 'leftovers'] as const
  const sum = { ...last }
  for (const name of done) sum[name] += first[name]
  return sum
}

/** Between two looks at how long is still to be waited, in ms. */
const waitStepMs = 1000

async function waitForCopies(windowMs: number, { progress, signal }: Hand): Promise<void> {
  const start = performance.now()
  for (let waited = 0; waited <= windowMs; waited = performance.now() - start) {
    progress.show('waiting for copies that may still land', waited / windowMs)
    await sleep(Math.min(waitStepMs, windowMs - waited + 1), undefined, { signal })
  }
}

export async function gc(given: Given, surroundings: Surroundings): Promise<void> {
  const config = loadLastingConfig(given, surroundings)
  const mode = given.options.has('dry-run') ? 'look' : 'sweep'
  await workByHand(config, surroundings, async (hand) => {
    const { store, progress, signal } = hand
    const report = (phase: SweepPhase, fraction: number): void => progress.show(phases[phase], fraction)
    const sweep = createConfiguredSweep(config, store)
    let counts = await sweep.run(mode, { signal, report })
    // Another process would begin to wait anew: without a server that sweeps, nothing would ever be freed.
    if (sweep.awaitsCopies()) {
      await waitForCopies(config.sweep.copyWindowMs, hand)
      counts = addCounts(counts, await sweep.run(mode, { signal, report }))
    }
    progress.clear()
    surroundings.out(renderCounts(counts, mode))
  })
}
