/** `berth retention`: the retention rules applied once by hand, beside a server that runs or not; or only what they would do. */
import type { Decision, RetentionCounts } from '../registry/retention/context.ts'
import { createLogger } from '../telemetry/logger.ts'
import { type Command, CommandError, configOption } from './command.ts'
import { loadGivenConfig } from './config.ts'
import { createConfiguredRetention } from './configured.ts'
import { openStore } from './open-store.ts'

/** One line: what becomes of what, by which rule, and why. */
export function renderDecision({ repository, what, verdict, rule, reason }: Decision): string {
  const name = what.kind === 'tag' ? `${repository}:${what.tag}` : `${repository}@${what.digest}`
  return `${verdict.padEnd(6)}  ${name}  ${reason} (${rule})\n`
}

/** The counts of a run. */
export function renderRetention(counts: RetentionCounts, mode: 'remove' | 'look'): string {
  const number = (count: number, words: string): string =>
    `${count.toLocaleString('en')} ${words}${count === 1 ? '' : 's'}`
  const title = mode === 'look' ? 'The rules would remove' : 'Removed'
  const waiting = counts.waiting === 0 ? '' : `; ${number(counts.waiting, 'untagged manifest')} not yet`
  const unreadable =
    counts.unreadable === 0 ? '' : `${number(counts.unreadable, 'record')} cannot be read: run berth scrub.\n`
  return `${title} ${number(counts.tags, 'tag')} and ${number(counts.manifests, 'manifest')}${waiting}.\n${unreadable}`
}

function refuse(message: string): never {
  throw new CommandError('refused', message)
}

export const retentionCommand: Command = {
  name: 'retention',
  summary: 'apply the retention rules, once; servers go on meanwhile',
  options: {
    ...configOption,
    'dry-run': { reason: 'change nothing, say of every tag and untagged manifest what the rules decide, and why' },
  },
  run: async (given, surroundings) => {
    const { config } = loadGivenConfig(given, surroundings)
    if (config.storage.kind === 'memory') {
      refuse('a store in memory has its own server only: storage.kind must name a store that lasts')
    }
    if (config.retention.rules.length === 0) refuse('there are no rules: retention.rules is empty, so everything stays')
    const log = createLogger({ level: 'warn', format: 'pretty', write: surroundings.err, now: () => new Date() })
    const store = await openStore(config, log)
    const stop = new AbortController()
    const forget = surroundings.onStop(() => stop.abort())
    const mode = given.options.has('dry-run') ? 'look' : 'remove'
    const onDecision = (decision: Decision): void => {
      if (mode === 'look' || decision.verdict === 'remove') surroundings.out(renderDecision(decision))
    }
    try {
      const counts = await createConfiguredRetention(config, store).run(mode, { signal: stop.signal, onDecision })
      surroundings.out(renderRetention(counts, mode))
    } catch (error) {
      if (stop.signal.aborted)
        throw new CommandError('failed', 'stopped; what was removed is removed, the next run goes on')
      throw error
    } finally {
      forget()
      await store.driver.close()
    }
  },
}
