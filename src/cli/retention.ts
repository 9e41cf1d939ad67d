/** `berth retention`: the retention rules applied once by hand, beside a server that runs or not; or only what they would do. */
import type { Decision, RetentionCounts } from '../registry/retention/context.ts'
import { loadLastingConfig, workByHand } from './by-hand.ts'
import { CommandError, type Given, type Surroundings } from './command.ts'
import { createConfiguredRetention } from './housekeeping.ts'

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
  const failed =
    counts.failure === undefined
      ? ''
      : `The store failed ${number(counts.failed, 'time')}, left for the next run; first with: ${counts.failure}\n`
  const removed = `${title} ${number(counts.tags, 'tag')} and ${number(counts.manifests, 'manifest')}${waiting}.\n`
  return removed + unreadable + failed
}

export async function retention(given: Given, surroundings: Surroundings): Promise<void> {
  const config = loadLastingConfig(given, surroundings)
  if (config.retention.rules.length === 0) {
    throw new CommandError('refused', 'there are no rules: retention.rules is empty, so everything stays')
  }
  const mode = given.options.has('dry-run') ? 'look' : 'remove'
  await workByHand(config, surroundings, async ({ store, progress, signal }) => {
    const onDecision = (decision: Decision): void => {
      if (mode === 'remove' && decision.verdict !== 'remove') return
      progress.clear()
      surroundings.out(renderDecision(decision))
    }
    const retention = createConfiguredRetention(config, store)
    const counts = await retention.run(mode, { signal, onDecision, report: progress.show })
    progress.clear()
    surroundings.out(renderRetention(counts, mode))
  })
}
