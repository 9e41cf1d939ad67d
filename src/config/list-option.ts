/**
 * A kind of option that is a list of small records: a YAML list in the file, the same list as YAML or JSON text in a variable. It knows no
 * particular option.
 */
import * as v from 'valibot'
import { parse } from 'yaml'
import type { FieldInfo, Option, OptionInfo } from './option.ts'
import { describeWritten } from './setting.ts'
import { didYouMean } from './suggest.ts'

/** The fields of an entry by their name in the code; an optional one is wrapped by `v.optional`. */
type Fields = Readonly<Record<string, Option | v.OptionalSchema<Option, undefined>>>

interface FieldRow extends FieldInfo {
  /** Its name in the code: a duration ends in `Ms` there. */
  readonly key: string
  readonly schema: Option
}

/** The most entries of a list: each is compared with every repository. */
const maxEntries = 1000

function rowsOf(fields: Fields): readonly FieldRow[] {
  return Object.entries(fields).map(([key, field]) => {
    const schema = 'wrapped' in field ? field.wrapped : field
    const { kind, expected, reason } = schema.option
    const name = kind === 'duration' ? key.replace(/Ms$/, '') : key
    return { key, name, schema, presence: 'wrapped' in field ? 'optional' : 'required', expected, reason }
  })
}

/** What a variable says is text; nothing in it is repaired. `undefined` when it is no YAML. */
export function readList(written: unknown): unknown {
  if (typeof written !== 'string') return written
  try {
    const list: unknown = parse(written, { prettyErrors: false })
    return list
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function findEntryProblems(rows: readonly FieldRow[], entry: unknown, at: string, info: OptionInfo) {
  const names = rows.map(({ name }) => name)
  const problems: { at: string; message: string }[] = []
  if (!isRecord(entry)) {
    const message = `found ${describeWritten(entry, info)}, expected a section with ${names.join(', ')}`
    return [{ at, message }]
  }
  for (const key of Object.keys(entry)) {
    if (!names.includes(key)) problems.push({ at: `${at}.${key}`, message: `unknown option${didYouMean(key, names)}` })
  }
  for (const { name, schema, presence, expected } of rows) {
    if (!Object.hasOwn(entry, name)) {
      if (presence === 'required') problems.push({ at: `${at}.${name}`, message: `is missing, expected ${expected}` })
    } else if (!v.is(schema, entry[name])) {
      const message = `found ${describeWritten(entry[name], schema.option)}, expected ${expected}`
      problems.push({ at: `${at}.${name}`, message })
    }
  }
  return problems
}

/** The entries with the names of the code; only for a list without problems. */
function renameFields(rows: readonly FieldRow[], written: unknown): unknown {
  const list = readList(written)
  if (!Array.isArray(list)) return list
  return list.map((entry: unknown) => {
    if (!isRecord(entry)) return entry
    return Object.fromEntries(
      Object.entries(entry).map(([name, value]) => [rows.find((row) => row.name === name)?.key ?? name, value]),
    )
  })
}

/** A list of records; none by default. */
export function list<const Entry extends v.ObjectEntries & Fields>(words: {
  readonly reason: string
  readonly entry: Entry
}) {
  const rows = rowsOf(words.entry)
  const expected = `a list whose entries have ${rows.map(({ name, presence }) => (presence === 'optional' ? `${name} (optional)` : name)).join(', ')}`
  const info: OptionInfo = {
    kind: 'list',
    expected,
    default: [],
    reason: words.reason,
    secret: false,
    fields: rows.map(({ name, presence, expected, reason }) => ({ name, presence, expected, reason })),
    findProblems(written) {
      const entries = readList(written)
      if (!Array.isArray(entries))
        return [{ at: '', message: `found ${describeWritten(written, info)}, expected ${expected}` }]
      if (entries.length > maxEntries)
        return [{ at: '', message: `found ${entries.length} entries, expected at most ${maxEntries}` }]
      return entries.flatMap((entry: unknown, n) => findEntryProblems(rows, entry, `[${n}]`, info))
    },
  }
  const schema = v.pipe(
    v.unknown(),
    v.transform((written) => renameFields(rows, written)),
    v.array(v.strictObject(words.entry)),
  )
  return Object.assign(schema, { option: info })
}
