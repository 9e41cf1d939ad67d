/**
 * The log: one line per event, as JSON for machines or readable for people. It knows nothing of HTTP or storage; where lines go and what time
 * it is are arguments. Whatever a client sent can stand in a message or field: it can never start a line or move a terminal's cursor.
 */

const severity = { debug: 0, info: 1, warn: 2, error: 3 } as const

export type LogLevel = keyof typeof severity

/** What belongs to an event beside its message: names in camelCase with their unit (`durationMs`), any value, errors too. */
export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger whose every line has these fields as well. */
  child(fields: LogFields): Logger
}

export interface LoggerOptions {
  /** The least severe level that is written. */
  readonly level: LogLevel
  readonly format: 'json' | 'pretty'
  /** Takes a line with its newline. */
  readonly write: (line: string) => void
  readonly now: () => Date
}

/** A logger that forgets everything, for tests and tools. */
export const silentLogger: Logger = createLogger({
  level: 'error',
  format: 'json',
  write: () => undefined,
  now: () => new Date(0),
})

export function createLogger(options: LoggerOptions, context: LogFields = {}): Logger {
  const format = options.format === 'json' ? formatJson : formatPretty
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (severity[level] < severity[options.level]) return
      options.write(`${escapeControls(format(options.now(), level, message, { ...context, ...fields }))}\n`)
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => createLogger(options, { ...context, ...fields }),
  }
}

function formatJson(now: Date, level: LogLevel, message: string, fields: LogFields): string {
  const head = { time: now.toISOString(), level, message }
  return toJson({ ...head, ...fields, ...head })
}

/** `12:00:00.123Z INFO  message name=value`, and below it the stack of an error, indented. */
function formatPretty(now: Date, level: LogLevel, message: string, fields: LogFields): string {
  const stacks: string[] = []
  const words = [now.toISOString().slice(11), level.toUpperCase().padEnd(5), escapeNewlines(message)]
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    if (value instanceof Error && value.stack !== undefined) stacks.push(`\n${value.stack}`.replaceAll('\n', '\n    '))
    const text = value instanceof Error ? value.message : value
    const isPlain = typeof text === 'string' && /^[\w./:@+,-]+$/.test(text)
    words.push(`${name}=${isPlain ? text : toJson(text)}`)
  }
  return words.join(' ') + stacks.join('')
}

function toJson(value: unknown): string {
  try {
    return JSON.stringify(value, toPlain) ?? 'null'
  } catch {
    // A cycle or a getter that throws: a log line is never a reason to fail.
    return '"(could not be written)"'
  }
}

function toPlain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  return { ...Object.fromEntries(Object.entries(value)), name, message, stack, cause }
}

function escapeNewlines(text: string): string {
  return text.replace(/[\r\n]/g, escapeCharacter)
}

/** Control characters but the newline (JSON has escaped it; only a stack keeps it), line separators, and what reverses the direction of text. */
function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    character === '\n' ? character : escapeCharacter(character),
  )
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
