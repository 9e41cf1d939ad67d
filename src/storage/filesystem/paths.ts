/**
 * Where a key lies in the folder. The tree is the tree of the keys, plus the driver's own names, which begin with `.` as no key does:
 *
 *     <plain key>                  a file with the value
 *     <record key>/<n>-<random>    the value, `n` in 16 digits; the last name counts and is the version (records.ts)
 *     <record key>/.c-<random>     somebody who would create this record (candidates.ts)
 *     .t/<random>                  what is being written; moved to its place when it is whole
 *     .ballast                     room kept back for deletes (ballast.ts)
 */
import { dirname, resolve } from 'node:path'
import type { KeyRules } from '../keys.ts'

/** Where one key lies. Paths are absolute and end without `/`. */
export interface Place {
  readonly key: string
  readonly kind: 'single' | 'plain' | 'record'
  /** The file of a plain key or a single; the directory of a record. */
  readonly path: string
  /** The directory that holds the file or files of the key. */
  readonly directory: string
  /** The deepest directory above the files that is never removed. */
  readonly fixed: string
  /** The directory of the top-level prefix, made at the start: when it is missing, the whole folder is. */
  readonly top: string
}

export interface Paths {
  readonly root: string
  readonly temporary: string
  readonly ballast: string
  /** The place of a key that was checked. */
  readonly placeOf: (key: string) => Place
  /** The directory of a list prefix that was checked. */
  readonly directoryOf: (prefix: string) => string
}

/** `folder` may be relative to the working directory. */
export function createPaths(folder: string, rules: KeyRules): Paths {
  const root = resolve(folder)

  /** The directory of the first `count` segments of a key. */
  function head(key: string, count: number): string {
    return `${root}/${key.split('/', count).join('/')}`
  }

  return {
    root,
    temporary: `${root}/.t`,
    ballast: `${root}/.ballast`,
    placeOf(key) {
      const rule = rules.ruleOf(key)
      const path = `${root}/${key}`
      if (rule.kind === 'single') return { key, kind: 'single', path, directory: root, fixed: root, top: root }
      const top = head(key, 1)
      return rule.kind === 'plain'
        ? { key, kind: 'plain', path, directory: dirname(path), fixed: top, top }
        : { key, kind: 'record', path, directory: path, fixed: head(key, rule.fixed), top }
    },
    directoryOf: (prefix) => (prefix === '' ? root : `${root}/${prefix.slice(0, -1)}`),
  }
}
