/** What one place says about one option, and what is wrong with a place: the words that `file.ts`, `environment.ts` and `load.ts` share. */
import type { Option, OptionInfo } from './option.ts'

/** One option as written somewhere. */
export interface Setting {
  readonly option: Option
  /** Where: `berth.yaml:3`, or the name of a variable. */
  readonly where: string
  /** What is written there, as it was read. */
  readonly written: unknown
}

/** One thing that is wrong. */
export interface Problem {
  /** `berth.yaml:3`, or the name of a variable. */
  readonly where: string
  /** The option, when the place is a file: `http.port`. */
  readonly path?: string
  readonly message: string
}

export interface Reading {
  readonly settings: readonly Setting[]
  readonly problems: readonly Problem[]
}

/** Reads a file as text; throws what `node:fs` throws. */
export type ReadText = (path: string) => string

/** A value for an error message: short, on one line, and never a secret. */
export function describeWritten(written: unknown, info: OptionInfo): string {
  if (written === null || written === undefined || written === '') return 'nothing'
  if (info.secret) return 'a value that is not shown'
  if (typeof written === 'string') {
    const shown = info.kind === 'url' ? hideUserInfo(written) : written
    return JSON.stringify(shown.length > 60 ? `${shown.slice(0, 60)}…` : shown)
  }
  if (typeof written === 'number' || typeof written === 'boolean') return String(written)
  return Array.isArray(written) ? 'a list' : 'a section'
}

/** What stands before an `@` in a URL is a password more often than not. */
function hideUserInfo(url: string): string {
  return url.replace(/^(\w+:\/\/)?.*@/s, '$1…@')
}

const readFailures: Readonly<Record<string, string>> = {
  EACCES: 'there is no permission to read it',
  EISDIR: 'it is a folder',
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
}

/** Why a file could not be read, in words. */
export function describeReadFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return readFailures[code] ?? error.message
}
