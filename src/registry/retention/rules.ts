/** The rules of retention, compiled: which rule a tag of a repository belongs to, and when an untagged manifest goes. */
import type { RepositoryName, Tag } from '../../oci/name.ts'
import { createGlob } from '../glob.ts'

/** One rule as it is written; patterns as in `glob.ts`. */
export interface RetentionRule {
  readonly repositories: string
  /** Absent: all tags. */
  readonly tags?: string | undefined
  /** So many of the rule's tags of a repository stay, those pushed last. */
  readonly keepLast?: number | undefined
  /** A tag pushed longer ago goes. */
  readonly maxAgeMs?: number | undefined
  /** A manifest that nothing has named for so long goes. */
  readonly untaggedMs?: number | undefined
}

/** A rule that covers a repository, with its name for people. */
export interface NamedRule extends RetentionRule {
  readonly name: string
}

/** What holds for one repository. */
export interface RepositoryRules {
  /** The first rule that matches the tag. */
  findTagRule(tag: Tag): NamedRule | undefined
  /** Whether some rule removes tags at all, and whether some keeps a number of them. */
  readonly removesTags: boolean
  readonly keepsNumber: boolean
  /** The first rule that says when untagged manifests go. */
  readonly untagged: { readonly name: string; readonly afterMs: number } | undefined
}

export type FindRules = (repository: RepositoryName) => RepositoryRules | undefined

/** Compiles rules; `name` is where they are written. What it returns gives `undefined` for a repository that no rule covers. */
export function compileRules(rules: readonly RetentionRule[], name: string): FindRules {
  const compiled = rules.map((rule, n) => ({
    rule: { ...rule, name: `${name}[${n}]` },
    coversRepository: createGlob(rule.repositories),
    coversTag: createGlob(rule.tags ?? '*'),
  }))
  return (repository) => {
    const ours = compiled.filter(({ coversRepository }) => coversRepository(repository))
    if (ours.length === 0) return undefined
    const [untagged] = ours.flatMap(({ rule }) =>
      rule.untaggedMs === undefined ? [] : [{ name: rule.name, afterMs: rule.untaggedMs }],
    )
    return {
      findTagRule: (tag) => ours.find(({ coversTag }) => coversTag(tag))?.rule,
      removesTags: ours.some(({ rule }) => rule.keepLast !== undefined || rule.maxAgeMs !== undefined),
      keepsNumber: ours.some(({ rule }) => rule.keepLast !== undefined),
      untagged,
    }
  }
}
