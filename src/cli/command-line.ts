/** The command line: finds the command, runs it, and turns how it ended into an exit code. */
import { findCommand, readGiven } from './arguments.ts'
import { CommandError, exitCodes, type Surroundings } from './command.ts'
import { commands } from './commands.ts'
import { renderCommandHelp, renderHelp } from './help.ts'

/** Runs one command line (without `node` and the script) and returns its exit code. Never rejects. */
export async function runCommandLine(args: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    await runCommand(args, surroundings)
    return exitCodes.ok.code
  } catch (error) {
    if (error instanceof CommandError) {
      surroundings.err(`berth: ${error.message}\n`)
      return exitCodes[error.outcome].code
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    surroundings.err(`berth: this is a bug, please report it\n${text}\n`)
    return exitCodes.failed.code
  }
}

/** Options that stand for a command. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['--version', 'version'],
  ['--help', 'help'],
  ['-h', 'help'],
])

async function runCommand(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const [first] = args
  if (first === undefined) throw new CommandError('refused', `no command is given\n\n${renderHelp(commands).trimEnd()}`)
  const alias = aliases.get(first)
  const { command, rest } = findCommand(commands, alias === undefined ? args : [alias])
  if (rest.includes('--help') || rest.includes('-h')) return surroundings.out(renderCommandHelp(command))
  await command.run(readGiven(command, rest), surroundings)
}
