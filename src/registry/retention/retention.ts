/**
 * Retention: removes the tags and untagged manifests that its rules name, while clients push and pull. It works through removals that are safe by themselves,
 * so any number of processes may run it, and any of them may die in it.
 */
import type { RepositoryName } from '../../oci/name.ts'
import { listAll } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import type { Context } from '../context.ts'
import { catalogPrefix, parseCatalogEntry } from '../layout.ts'
import type { Decision, RetentionContext, RetentionCounts } from './context.ts'
import { workOrCount } from '../sweep/unreadable.ts'
import type { FindRules, RepositoryRules } from './rules.ts'
import { retainTags } from './tags.ts'
import { retainUntagged } from './untagged.ts'

export interface RetentionRun extends Cancel {
  /** Told of every decision: in a run that removes, once it is done. */
  readonly onDecision?: (decision: Decision) => void
  /** Told of the repository that the run is at, and how far through all of them it is, from 0 to 1. */
  readonly report?: (repository: RepositoryName, fraction: number) => void
}

export interface Retention {
  /** Goes through every repository that has rules. `look` changes nothing. */
  run(mode: RetentionContext['mode'], options?: RetentionRun): Promise<RetentionCounts>
}

/** The repositories that have rules, in the order of their names. */
async function* findRuled(
  { driver }: Context,
  findRules: FindRules,
  cancel: Cancel,
): AsyncGenerator<{ readonly repository: RepositoryName; readonly rules: RepositoryRules }> {
  for await (const { key } of listAll(driver, catalogPrefix, { ...cancel, delimiter: '/' })) {
    const repository = parseCatalogEntry(key)
    const rules = findRules(repository)
    if (rules !== undefined) yield { repository, rules }
  }
}

/** Retention of the local registry by these rules. */
export function createRetention(context: Context, findRules: FindRules): Retention {
  return {
    async run(mode, { onDecision = () => undefined, report, ...cancel } = {}) {
      const counts: RetentionCounts = { repositories: 0, tags: 0, manifests: 0, waiting: 0, unreadable: 0, failed: 0 }
      const failures = new Set<string>()
      let all = 0
      if (report !== undefined) for await (const _ of findRuled(context, findRules, cancel)) all++
      for await (const { repository, rules } of findRuled(context, findRules, cancel)) {
        const before = counts.repositories++
        const reach = (fraction: number): void => report?.(repository, (before + fraction) / Math.max(all, before + 1))
        reach(0)
        const retention = { ...context, mode, counts, failures, onDecision, reach }
        await workOrCount(retention, () => retainRepository(retention, repository, rules, cancel))
      }
      return counts
    },
  }
}

async function retainRepository(
  retention: RetentionContext,
  repository: RepositoryName,
  rules: RepositoryRules,
  cancel: Cancel,
): Promise<void> {
  if (rules.removesTags || rules.untagged !== undefined) await retainTags(retention, repository, rules, cancel)
  if (rules.untagged !== undefined) await retainUntagged(retention, repository, rules.untagged, cancel)
}
