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
import type { FindRules } from './rules.ts'
import { retainTags } from './tags.ts'
import { retainUntagged } from './untagged.ts'

export interface RetentionRun extends Cancel {
  /** Told of every decision: in a run that removes, once it is done. */
  readonly onDecision?: (decision: Decision) => void
}

export interface Retention {
  /** Goes through every repository that has rules. `look` changes nothing. */
  run(mode: RetentionContext['mode'], options?: RetentionRun): Promise<RetentionCounts>
}

/** Retention of the local registry by these rules. */
export function createRetention(context: Context, findRules: FindRules): Retention {
  return {
    async run(mode, { onDecision = () => undefined, ...cancel } = {}) {
      const counts = { repositories: 0, tags: 0, manifests: 0, waiting: 0, unreadable: 0 }
      const retention: RetentionContext = { ...context, mode, counts, onDecision }
      for await (const { key } of listAll(context.driver, catalogPrefix, { ...cancel, delimiter: '/' })) {
        await retainRepository(retention, findRules, parseCatalogEntry(key), cancel)
      }
      return counts
    },
  }
}

async function retainRepository(
  retention: RetentionContext,
  findRules: FindRules,
  repository: RepositoryName,
  cancel: Cancel,
): Promise<void> {
  const rules = findRules(repository)
  if (rules === undefined) return
  retention.counts.repositories++
  if (rules.removesTags || rules.untagged !== undefined) await retainTags(retention, repository, rules, cancel)
  if (rules.untagged !== undefined) await retainUntagged(retention, repository, rules.untagged, cancel)
}
