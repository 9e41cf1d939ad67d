/** `berth version`. */
import manifest from '../../package.json' with { type: 'json' }
import type { Command } from './command.ts'

/** The version of Berth, from package.json. */
export const version = manifest.version

export const versionCommand: Command = {
  name: 'version',
  summary: 'print the version of Berth and of Node.js',
  options: {},
  run: (_given, { out }) => out(`berth ${version} (Node.js ${process.version})\n`),
}
