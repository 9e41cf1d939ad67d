/** The configuration that a command was given. */
import { readFileSync } from 'node:fs'
import { ConfigError, loadConfig, type LoadedConfig } from '../config/load.ts'
import { CommandError, type Given, type Surroundings } from './command.ts'

/** A configuration, and every file that was read for it by its path. */
export interface GivenConfig extends LoadedConfig {
  readonly texts: Readonly<Record<string, string>>
}

/** Loads the configuration that a command was given; everything that is wrong with it ends the command. */
export function loadGivenConfig(given: Given, { environment }: Surroundings): GivenConfig {
  const texts: Record<string, string> = {}
  const readText = (path: string): string => (texts[path] = readFileSync(path, 'utf8'))
  try {
    return { ...loadConfig({ environment, file: given.options.get('config'), readText }), texts }
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError('refused', error.message, { cause: error })
    throw error
  }
}

/** `berth config check`. */
export function checkConfig(given: Given, surroundings: Surroundings): void {
  const { file } = loadGivenConfig(given, surroundings)
  surroundings.out(`The configuration is good (${file ?? 'no file'}, variables).\n`)
}

/** The arguments by which a process that is started beside this one finds the same configuration. */
export function configArguments({ options }: Given): readonly string[] {
  const file = options.get('config')
  return file === undefined ? [] : ['--config', file]
}
