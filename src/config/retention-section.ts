/** The options that say which tags and manifests go by themselves, and which tags are created once. `docs/retention.md` explains them. */
import * as v from 'valibot'
import { list } from './list-option.ts'
import { duration, number, pattern, section } from './option.ts'

const repositories = pattern({ default: '**', reason: 'Which repositories: the whole name must match.' })

export const immutableTags = list({
  reason: 'Tags that are created once: they cannot be moved or deleted; pushing the same content again is fine.',
  entry: {
    repositories,
    tags: pattern({ default: '*', reason: 'Which of their tags: the whole tag must match.' }),
  },
})

export const retention = section(
  'Retention: which tags and untagged manifests go by themselves; nothing does by default.',
  {
    intervalMs: duration({
      min: '1s',
      max: '30d',
      default: '24h',
      reason: 'The pause between two runs: each looks at every tag and manifest of the repositories it has rules for.',
    }),
    rules: list({
      reason: 'A tag belongs to the first rule that matches it; nothing is removed where no rule says so.',
      entry: {
        repositories,
        tags: v.optional(pattern({ default: '*', reason: 'Which of their tags; all when it is left out.' })),
        keepLast: v.optional(
          number({
            min: 1,
            max: 10_000,
            default: 10,
            reason:
              'So many of these tags stay, the ones pushed last; older ones go, or only those that `maxAge` names.',
          }),
        ),
        maxAgeMs: v.optional(
          duration({ min: '1s', max: '36500d', default: '90d', reason: 'A tag that was pushed longer ago goes.' }),
        ),
        untaggedMs: v.optional(
          duration({
            min: '1s',
            max: '36500d',
            default: '7d',
            reason:
              'A manifest that nothing has named for so long goes; the first rule of a repository that says it counts.',
          }),
        ),
      },
    }),
  },
)
