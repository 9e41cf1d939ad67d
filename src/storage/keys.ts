/** Which keys and prefixes are allowed, for every driver alike. Knows the key space it is given and no meaning of any key. */
import type { KeySpace } from './driver.ts'

/** How a key may be used; see `KeySpace`. */
export type KeyRule =
  | { readonly kind: 'single' }
  | { readonly kind: 'plain' }
  | { readonly kind: 'record'; readonly depth: number; readonly fixed: number }

export interface KeyRules {
  /** The rule of a key; throws an ordinary Error for a key that must not exist. */
  check(key: string): KeyRule
  /** The rule of the keys under a prefix that is not empty; throws an ordinary Error for one that can hold none. */
  checkPrefix(prefix: string): KeyRule
  /** The rule of a key or prefix that was checked before. */
  ruleOf(checked: string): KeyRule
  /** The rule of a single, or of a top-level prefix with its `/`, if there is such a one. */
  find(top: string): KeyRule | undefined
}

const maxSegmentBytes = 255
const maxKeyBytes = 1024

/** One segment of a key. A first `.` is kept for the drivers' own names, which also rules out `.` and `..`. */
const segmentPattern = /^[A-Za-z0-9_\-!+~^@][A-Za-z0-9._\-!+~^@]*$/

/** Whether a text can be one segment of a key. */
export function isSegment(text: string): boolean {
  return text.length <= maxSegmentBytes && segmentPattern.test(text)
}

/** `after` as a plain comparison: a folded entry stands for the last possible key in it, and no character of a key sorts behind `~`. */
export function lastSkipped(prefix: string, after = ''): string {
  return after.endsWith('/') && after.length > prefix.length ? `${after}\x7f` : after
}

/** Reads the key space once, so that a rule is found by one look-up. */
export function createKeyRules(keySpace: KeySpace): KeyRules {
  const rules = new Map<string, KeyRule>()
  for (const key of keySpace.singles) rules.set(key, { kind: 'single' })
  for (const prefix of keySpace.plain) rules.set(prefix, { kind: 'plain' })
  for (const { prefix, depth, fixed } of keySpace.records) rules.set(prefix, { kind: 'record', depth, fixed })

  function ruleOf(checked: string): KeyRule {
    const rule = rules.get(checked.slice(0, checked.indexOf('/') + 1) || checked)
    if (rule === undefined) throw new Error(`${shown(checked)} is outside of the key space`)
    return rule
  }

  return {
    ruleOf,
    find: (top) => rules.get(top),
    check(key) {
      const depth = countSegments(key)
      const rule = ruleOf(key)
      if (rule.kind === 'record' && depth !== rule.depth) {
        throw new Error(`the key ${shown(key)} of a record must have ${rule.depth} segments`)
      }
      return rule
    },
    checkPrefix(prefix) {
      if (!prefix.endsWith('/')) throw new Error(`the prefix ${shown(prefix)} must end in "/"`)
      countSegments(prefix.slice(0, -1))
      return ruleOf(prefix)
    },
  }
}

/** All segments at once: this is looked at for every call. */
const keyPattern = /^[A-Za-z0-9_\-!+~^@][A-Za-z0-9._\-!+~^@]*(?:\/[A-Za-z0-9_\-!+~^@][A-Za-z0-9._\-!+~^@]*)*$/

function countSegments(key: string): number {
  let count = 1
  let longest = 0
  let start = 0
  for (let slash = key.indexOf('/'); slash >= 0; slash = key.indexOf('/', start)) {
    longest = Math.max(longest, slash - start)
    start = slash + 1
    count++
  }
  longest = Math.max(longest, key.length - start)
  if (key.length > maxKeyBytes || longest > maxSegmentBytes || !keyPattern.test(key)) {
    throw new Error(`the key ${shown(key)} is malformed`)
  }
  return count
}

function shown(key: string): string {
  return JSON.stringify(key.length > 200 ? `${key.slice(0, 200)}…` : key)
}
