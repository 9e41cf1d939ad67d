/** The help texts; they are written from the commands and exit codes themselves. */
import { type Command, exitCodes } from './command.ts'

function renderTable(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}

/** All commands and exit codes. */
export function renderHelp(commands: readonly Command[]): string {
  return [
    'Berth: a self-hosted registry for container images and other OCI artifacts.',
    '',
    'Usage: berth COMMAND [OPTIONS]',
    '',
    ...renderTable(
      commands.filter(({ isInternal }) => isInternal !== true).map(({ name, summary }) => [name, summary] as const),
    ),
    '',
    'Exit codes:',
    ...renderTable(Object.values(exitCodes).map(({ code, meaning }) => [String(code), meaning] as const)),
    '',
    'Every option of the configuration: docs/configuration.md, or "berth config print".',
    '',
  ].join('\n')
}

/** One command with its options. */
export function renderCommandHelp(command: Command): string {
  const options = Object.entries(command.options).map(
    ([name, { value, reason }]) => [value === undefined ? `--${name}` : `--${name} ${value}`, reason] as const,
  )
  const usage = ['berth', command.name, ...(options.length > 0 ? ['[OPTIONS]'] : []), command.words ?? ''].join(' ')
  return [
    `Usage: ${usage.trimEnd()}`,
    '',
    command.summary,
    ...(options.length > 0 ? ['', ...renderTable(options)] : []),
    '',
  ].join('\n')
}
