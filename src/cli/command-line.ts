/** The command line: finds the command, runs it, and turns how it ended into an exit code. */
import { findCommand, readGiven } from './arguments.ts'
import { type Command, CommandError, exitCodes, type Surroundings } from './command.ts'
import { configCheck, configPrint } from './config.ts'
import { renderCommandHelp, renderHelp } from './help.ts'
import { gc } from './gc.ts'
import { retentionCommand } from './retention.ts'
import { scrub } from './scrub.ts'
import { serve } from './serve.ts'
import { sweeperCommand } from './sweeper.ts'
import { versionCommand } from './version.ts'
import { workerCommand } from './worker.ts'

const helpCommand: Command = {
  name: 'help',
  summary: 'explain Berth, or one command',
  options: {},
  words: '[COMMAND]',
  run: ({ words }, { out }) => {
    out(words.length === 0 ? renderHelp(commands) : renderCommandHelp(findCommand(commands, words).command))
  },
}

/** All commands, in the order of the help. */
export const commands: readonly Command[] = [
  serve,
  gc,
  retentionCommand,
  scrub,
  sweeperCommand,
  workerCommand,
  configCheck,
  configPrint,
  versionCommand,
  helpCommand,
]

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

async function runCommand(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const [first] = args
  if (first === undefined) throw new CommandError('refused', `no command is given\n\n${renderHelp(commands).trimEnd()}`)
  if (first === '--version') return versionCommand.run({ options: new Map(), words: [] }, surroundings)
  if (first === '--help' || first === '-h') return helpCommand.run({ options: new Map(), words: [] }, surroundings)
  const { command, rest } = findCommand(commands, args)
  if (rest.includes('--help') || rest.includes('-h')) return surroundings.out(renderCommandHelp(command))
  await command.run(readGiven(command, rest), surroundings)
}
