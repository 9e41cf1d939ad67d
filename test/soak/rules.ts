/** The retention rules of a soak, and what they mean for tags of which it is known in which order they were pushed. */
import type { Retained, RetainedTag } from './model.ts'

const keepLast = 3
const maxAgeMs = 4_000

/** What the servers and `berth retention` follow. An index comes sooner than its entries go, unless somebody is killed. */
export const retentionRules = [
  { repositories: 'retained/**', tags: 'stay-*' },
  { repositories: 'retained/**', tags: 'old-*', maxAge: `${maxAgeMs}ms` },
  { repositories: 'retained/**', tags: 'last-*', keepLast, untagged: '3s' },
]

/** Whether the rules keep a tag, as it was pushed then. When they do not, it may be gone from then on. */
export function mustStay({ tags, tickMs }: Retained, fact: RetainedTag): boolean {
  if (tags.get(fact.tag) !== fact || fact.isChanging) return false
  switch (fact.kind) {
    case 'stay':
      return true
    case 'old':
      // Less, for the clock of the store is not ours.
      return performance.now() - fact.beganAt < maxAgeMs - tickMs - 100
    case 'last':
  }
  const last = [...tags.values()].filter(({ kind }) => kind === 'last').slice(-keepLast)
  return last.includes(fact)
}

/** The tags that must be there at this moment. */
export function findStaying(retained: Retained): readonly RetainedTag[] {
  return [...retained.tags.values()].filter((fact) => mustStay(retained, fact))
}
