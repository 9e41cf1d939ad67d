/** `berth gc`: one sweep by hand, beside a server that runs or not. */
import type { SweepCounts, SweepPhase } from '../registry/sweep/context.ts'
import { loadLastingConfig, workByHand } from './by-hand.ts'
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

export async function gc(given: Given, surroundings: Surroundings): Promise<void> {
  const config = loadLastingConfig(given, surroundings)
  const mode = given.options.has('dry-run') ? 'look' : 'sweep'
  await workByHand(config, surroundings, async ({ store, progress, signal }) => {
    const report = (phase: SweepPhase, fraction: number): void => progress.show(phases[phase], fraction)
    const counts = await createConfiguredSweep(config, store).run(mode, { signal, report })
    progress.clear()
    surroundings.out(renderCounts(counts, mode))
  })
}
