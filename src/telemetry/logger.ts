/**
 * The log: one line per event, as JSON for machines or readable for people. It knows nothing of HTTP or storage; where lines go and what time
 * it is are arguments. Whatever a client sent can stand in a message or field: it can never start a line or move a terminal's cursor.
 */
import { hidden, isSecretName, redact } from './redact.ts'

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

export function createLogger(options: LoggerOptions, context?: LogFields): Logger {
  const format = options.format === 'json' ? createJsonFormat() : formatPretty
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (severity[level] < severity[options.level]) return
      const all = context === undefined ? fields : { ...context, ...fields }
      options.write(`${format(options.now(), level, message, all)}\n`)
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => createLogger(options, { ...context, ...fields }),
  }
}

type Format = (now: Date, level: LogLevel, message: string, fields: LogFields) => string

/** How many names of fields are kept as JSON writes them: far more than the code has. */
const maxNames = 1000

/** A busy registry writes thousands of lines a second: flat fields are put together by hand, which takes a tenth of what `JSON.stringify` does. */
function createJsonFormat(): Format {
  /** `,"name":` of each name that was seen; with the value, where that must not be shown. */
  const written = new Map<string, string>()
  const writeName = (name: string): string => {
    let text = written.get(name)
    if (text === undefined) {
      text = `,${quote(name)}:${isSecretName(name) ? quote(hidden) : ''}`
      if (written.size < maxNames) written.set(name, text)
    }
    return text
  }
  return (now, level, message, fields) => {
    let line = `{"time":"${now.toISOString()}","level":"${level}","message":${quote(message)}`
    for (const name in fields) {
      const value = fields[name]
      if (value === undefined || isOwn(name)) continue
      const start = writeName(name)
      line += start.endsWith(':') ? start + toJson(value) : start
    }
    return `${line}}`
  }
}

/** The names that only the logger itself gives. */
function isOwn(name: string): boolean {
  return name === 'time' || name === 'level' || name === 'message'
}

/** `12:00:00.123Z INFO  message name=value`, and below it the stack of an error, indented. */
function formatPretty(now: Date, level: LogLevel, message: string, fields: LogFields): string {
  const stacks: string[] = []
  const words = [now.toISOString().slice(11), level.toUpperCase().padEnd(5), escapeNewlines(redact(message))]
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    if (value instanceof Error && value.stack !== undefined) {
      stacks.push(`\n${redact(value.stack)}`.replaceAll('\n', '\n    '))
    }
    const shown = isSecretName(name) ? hidden : value
    const text = shown instanceof Error ? shown.message : shown
    const isPlain = typeof text === 'string' && /^[\w./:@+,-]+$/.test(text)
    words.push(`${name}=${isPlain ? redact(text) : toJson(text)}`)
  }
  return escapeControls(words.join(' ') + stacks.join(''))
}

function toJson(value: unknown): string {
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null'
  try {
    return escapeControls(JSON.stringify(value, toPlain) ?? 'null')
  } catch {
    // A cycle or a getter that throws: a log line is never a reason to fail.
    return '"(could not be written)"'
  }
}

function toPlain(key: string, value: unknown): unknown {
  if (isSecretName(key)) return hidden
  if (typeof value === 'string') return redact(value)
  if (typeof value === 'bigint') return String(value)
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  return { ...Object.fromEntries(Object.entries(value)), name, message, stack, cause }
}

/** Anything but printable ASCII, and what JSON escapes. */
const needsEscape = /[^ !#-[\]-~]/

/** A text as a JSON string. */
function quote(text: string): string {
  const shown = redact(text)
  return needsEscape.test(shown) ? escapeControls(JSON.stringify(shown)) : `"${shown}"`
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
