/** From the words of the command line to a command and what it is given. Wrong words end in one line with a suggestion. */
import { parseArgs } from 'node:util'
import { didYouMean } from '../config/suggest.ts'
import { type Command, CommandError, type Given } from './command.ts'

/** Finds the command that the first words name, and gives back the words behind it. */
export function findCommand(
  commands: readonly Command[],
  words: readonly string[],
): { readonly command: Command; readonly rest: readonly string[] } {
  for (const command of commands) {
    const name = command.name.split(' ')
    if (name.every((word, index) => words[index] === word)) return { command, rest: words.slice(name.length) }
  }
  const [first = '', second] = words
  const following = commands
    .map(({ name }) => name.split(' '))
    .filter(([word, next]) => word === first && next !== undefined)
  if (following.length > 0) {
    const choices = following.map(([, next]) => next ?? '')
    const found = second === undefined ? '' : `, not ${JSON.stringify(second)}${didYouMean(second, choices)}`
    throw new CommandError('refused', `"${first}" takes ${choices.join(' or ')}${found}`)
  }
  const names = commands.map(({ name }) => name)
  const kind = first.startsWith('-') ? 'option' : 'command'
  const suggestion =
    kind === 'option' ? '' : didYouMean(first, [...names, ...names.map((name) => name.split(' ')[0] ?? '')])
  throw new CommandError('refused', `unknown ${kind} ${JSON.stringify(first)}${suggestion || '; see berth help'}`)
}

/** Reads what follows the command's name; throws CommandError for what it does not take. */
export function readGiven(command: Command, args: readonly string[]): Given {
  const known = Object.keys(command.options)
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      known.map((name) => [name, { type: takesValue(command, name) ? 'string' : 'boolean' }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const options = new Map<string, string>()
  const words: string[] = []
  const refuse = (message: string): never => {
    throw new CommandError('refused', `${message} (berth help ${command.name})`)
  }
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    if (!known.includes(name)) refuse(`unknown option ${JSON.stringify(rawName)}${suggestOption(name, known)}`)
    if (options.has(name)) refuse(`${rawName} is given twice`)
    if (!takesValue(command, name)) {
      if (value !== undefined) refuse(`${rawName} takes no value`)
      options.set(name, '')
      continue
    }
    const isMissing = value === undefined || value === '' || (!token.inlineValue && value.startsWith('-'))
    if (isMissing) refuse(`${rawName} needs a value: ${rawName} ${command.options[name]?.value ?? ''}`)
    options.set(name, value ?? '')
  }
  if (command.words === undefined && words.length > 0) refuse(`unexpected ${JSON.stringify(words[0])}`)
  return { options, words }
}

function takesValue({ options }: Command, name: string): boolean {
  return options[name]?.value !== undefined
}

function suggestOption(name: string, known: readonly string[]): string {
  return didYouMean(
    `--${name}`,
    known.map((one) => `--${one}`),
  )
}
