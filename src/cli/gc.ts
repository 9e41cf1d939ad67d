/** `berth gc`: one sweep by hand, beside a server that runs or not. */
import { type SweepCounts, type SweepPhase } from '../registry/sweep/context.ts'
import { createLogger } from '../telemetry/logger.ts'
import { type Command, CommandError, configOption } from './command.ts'
import { loadGivenConfig } from './config.ts'
import { createConfiguredSweep } from './configured.ts'
import { openStore } from './open-store.ts'
import { createProgress } from './progress.ts'

const phases: Readonly<Record<SweepPhase, string>> = {
  pushes: 'pushes that were abandoned',
  garbage: 'what may have lost its last use',
  uploads: 'uploads that ended',
  leftovers: 'leftovers of processes that were killed',
}

const rows: readonly (readonly [keyof SweepCounts, string])[] = [
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
]

/** The counts of a run, one a line. */
export function renderCounts(counts: SweepCounts, mode: 'sweep' | 'look'): string {
  const title = mode === 'look' ? 'A sweep would remove:' : 'Removed:'
  const width = Math.max(...rows.map(([name]) => counts[name].toLocaleString('en').length))
  const lines = rows.map(([name, words]) => `  ${counts[name].toLocaleString('en').padStart(width)}  ${words}`)
  return `${[title, ...lines].join('\n')}\n`
}

export const gc: Command = {
  name: 'gc',
  summary: 'free what nothing needs any more, once; servers go on meanwhile',
  options: {
    ...configOption,
    'dry-run': { reason: 'change nothing, say what would be removed' },
  },
  run: async (given, surroundings) => {
    const { config } = loadGivenConfig(given, surroundings)
    if (config.storage.kind === 'memory') {
      throw new CommandError(
        'refused',
        'a store in memory is swept by its own server only: storage.kind must name a store that lasts',
      )
    }
    const log = createLogger({ level: 'warn', format: 'pretty', write: surroundings.err, now: () => new Date() })
    const store = await openStore(config, log)
    const progress = createProgress(surroundings)
    surroundings.lowerPriority()
    const stop = new AbortController()
    const forget = surroundings.onStop(() => stop.abort())
    const mode = given.options.has('dry-run') ? 'look' : 'sweep'
    try {
      const report = (phase: SweepPhase, fraction: number): void => progress.show(phases[phase], fraction)
      const counts = await createConfiguredSweep(config, store).run(mode, { signal: stop.signal, report })
      progress.clear()
      surroundings.out(renderCounts(counts, mode))
    } catch (error) {
      progress.clear()
      if (stop.signal.aborted)
        throw new CommandError('failed', 'stopped; what was removed is removed, the next run goes on')
      throw error
    } finally {
      forget()
      await store.driver.close()
    }
  },
}
