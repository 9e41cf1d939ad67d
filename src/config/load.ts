/**
 * Turns the file and the environment into one frozen `Config`, or into one report of everything that is wrong. A variable wins over the
 * file, the file over the default; nothing that is wrong is ever replaced by a default.
 */
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { type Environment, fileVariable, readEnvironment } from './environment.ts'
import { readFileSettings } from './file.ts'
import type { Option, Section } from './option.ts'
import { rules } from './rules.ts'
import { type Config, configSchema, listOptions, type OptionRow } from './schema.ts'
import {
  describeReadFailure,
  describeWritten,
  type Problem,
  type Reading,
  type ReadText,
  type Setting,
} from './setting.ts'

/** Where values come from. */
export interface ConfigSources {
  readonly environment: Environment
  /** The configuration file; without it the variable `BERTH_CONFIG` names one, else there is none. */
  readonly file?: string | undefined
  /** For tests; the file system by default. */
  readonly readText?: ReadText
}

/** The values, and for `berth config print` where each was written. */
export interface LoadedConfig {
  readonly config: Config
  /** The file that was read, if any. */
  readonly file: string | undefined
  /** The setting that won for an option; `undefined` when the default did. */
  readonly settingOf: (row: OptionRow) => Setting | undefined
}

/** Everything that is wrong with a configuration; the message is the whole report. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(formatProblems(problems))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Loads the configuration; throws ConfigError with all problems at once. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const readText = sources.readText ?? ((path) => readFileSync(path, 'utf8'))
  const file = sources.file ?? sources.environment[fileVariable]
  const readings = [readFile(file, readText), readEnvironment(sources.environment, readText)]
  const problems = readings.flatMap((reading) => reading.problems)

  const rowOf = new Map(listOptions().map((row) => [row.schema, row]))
  const settings = new Map<Option, Setting>()
  const wrong = new Set<string>()
  for (const setting of readings.flatMap((reading) => reading.settings)) {
    const row = rowOf.get(setting.option)
    const found = checkSetting(setting, row)
    problems.push(...found)
    if (found.length === 0) settings.set(setting.option, setting)
    else if (row !== undefined) wrong.add(row.path)
  }

  const config = freeze(v.parse(configSchema, writtenTree(configSchema, settings)))
  const settingOf = (row: OptionRow) => settings.get(row.schema)
  problems.push(...checkRules(config, wrong, settingOf))
  if (problems.length > 0) throw new ConfigError(problems)
  return { config, file, settingOf }
}

function readFile(file: string | undefined, readText: ReadText): Reading {
  if (file === undefined) return { settings: [], problems: [] }
  try {
    return readFileSettings(readText(file), file)
  } catch (error) {
    const where = file === '' ? fileVariable : file
    const problem = { where, message: `the configuration file cannot be read: ${describeReadFailure(error)}` }
    return { settings: [], problems: [problem] }
  }
}

function checkSetting({ option, where, written }: Setting, row: OptionRow | undefined): Problem[] {
  const isVariable = row === undefined || where.startsWith(row.variable)
  return findProblems(option, written).map(({ at, message }) => {
    const isNamed = row === undefined || (isVariable && at === '')
    return isNamed ? { where, message } : { where, path: row.path + at, message }
  })
}

/** What is wrong with a written value: `at` is the place in it, when it is a list. */
function findProblems(option: Option, written: unknown): readonly { readonly at: string; readonly message: string }[] {
  const info = option.option
  if (info.findProblems !== undefined) return info.findProblems(written)
  if (v.is(option, written)) return []
  return [{ at: '', message: `found ${describeWritten(written, info)}, expected ${info.expected}` }]
}

/** The shape of the configuration with what is written for each option, defaults included. */
function writtenTree(section: Section, settings: ReadonlyMap<Option, Setting>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(section.entries).map(([key, node]) => {
      if (!('option' in node)) return [key, writtenTree(node, settings)]
      const setting = settings.get(node)
      return [key, setting === undefined ? node.option.default : setting.written]
    }),
  )
}

function checkRules(
  config: Config,
  wrong: ReadonlySet<string>,
  settingOf: (row: OptionRow) => Setting | undefined,
): Problem[] {
  const rows = listOptions()
  return rules.flatMap((rule) => {
    const message = rule.paths.some((path) => wrong.has(path)) ? undefined : rule.check(config)
    if (message === undefined) return []
    const given = rows.filter((row) => rule.paths.includes(row.path)).map(settingOf)
    return [
      { where: given.find((setting) => setting !== undefined)?.where ?? 'defaults', path: rule.paths[0], message },
    ]
  })
}

function formatProblems(problems: readonly Problem[]): string {
  const byPlace = new Intl.Collator('en', { numeric: true })
  const sorted = problems.toSorted((a, b) => byPlace.compare(a.where, b.where))
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  const lines = sorted.map(
    ({ where, path, message }) => `  ${where}: ${path === undefined ? '' : `${path}: `}${message}`,
  )
  return [`The configuration has ${count}:`, ...lines].join('\n')
}

function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) freeze(inner)
  return Object.freeze(value)
}
