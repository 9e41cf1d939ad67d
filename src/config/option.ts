/**
 * The kinds of options: each is a valibot schema that takes what a file or a variable says and gives the value in the unit the code uses,
 * with the words that describe it attached. It knows no particular option; those are rows of `schema.ts`.
 */
import { isIP } from 'node:net'
import * as v from 'valibot'
import { durationUnitNames, parseDuration, parseSize, sizeUnitNames } from './units.ts'

/** What the configuration page, the samples and the error report say of an option. */
export interface OptionInfo {
  /** The kind in one word, for the page. */
  readonly kind: 'text' | 'url' | 'address' | 'pattern' | 'number' | 'duration' | 'size' | 'choice' | 'switch' | 'list'
  /** What a good value looks like; completes "expected …". */
  readonly expected: string
  /** The default, as one would write it in the file. */
  readonly default: string | number | boolean | readonly []
  /** Why it exists, or why its default is what it is: one line. */
  readonly reason: string
  /** Whether its value must never be printed. */
  readonly secret: boolean
  /** Of a list: what its entries say. */
  readonly fields?: readonly FieldInfo[]
  /** Of a list: what is wrong with a written one, each with its place, like `[1].maxAge`. */
  readonly findProblems?: (written: unknown) => readonly { readonly at: string; readonly message: string }[]
}

/** One field of the entries of a list. */
export interface FieldInfo {
  readonly name: string
  readonly presence: 'required' | 'optional'
  readonly expected: string
  readonly reason: string
}

/** An option: a parser of written values, and its description. */
export type Option = v.GenericSchema<unknown, string | number | boolean | readonly object[]> & {
  readonly option: OptionInfo
}

interface Words<Default> {
  readonly default: Default
  readonly reason: string
}

interface Limits<Written> {
  readonly min: Written
  readonly max: Written
}

/** Builds an option from a parser; `parse` gives `undefined` for what is not a good value. */
function createOption<Value extends string | number | boolean>(
  parse: (written: unknown) => Value | undefined,
  info: OptionInfo,
) {
  const schema = v.pipe(
    v.unknown(),
    v.rawTransform<unknown, Value>(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value)
      if (value !== undefined) return value
      addIssue({ message: info.expected })
      return NEVER
    }),
  )
  return Object.assign(schema, { option: info })
}

function isWithin(value: number | undefined, min: number, max: number): value is number {
  return value !== undefined && value >= min && value <= max
}

/** Which texts are good. */
export interface Form {
  /** The value of a written text of at least one character; `undefined` when it is not good. */
  readonly parse: (written: string) => string | undefined
  /** The same in words; completes "expected …". */
  readonly expected: string
}

const anyText: Form = {
  parse: (written) => (written.includes('\0') ? undefined : written),
  expected: 'a text that is not empty',
}

/** All texts that match as they are. */
export function matching(pattern: RegExp, expected: string): Form {
  return { parse: (written) => (pattern.test(written) ? written : undefined), expected }
}

/** Text of at least one character; of any form unless one is given. */
export function text(words: Words<string> & { readonly form?: Form; readonly secret?: 'secret' }) {
  const { parse, expected } = words.form ?? anyText
  return createOption((written) => (typeof written === 'string' && written !== '' ? parse(written) : undefined), {
    kind: 'text',
    expected,
    default: words.default,
    reason: words.reason,
    secret: words.secret === 'secret',
  })
}

/** Text that may be left out: then it is empty, which is its default. A key of the file with nothing behind it says the same. */
export function optionalText(words: {
  readonly reason: string
  readonly form: Form
  readonly kind?: 'text' | 'url'
  readonly secret?: 'secret'
}) {
  const { parse, expected } = words.form
  return createOption(
    (written) => {
      if (written === null || written === '') return ''
      return typeof written === 'string' ? parse(written) : undefined
    },
    {
      kind: words.kind ?? 'text',
      expected: `nothing, or ${expected}`,
      default: '',
      reason: words.reason,
      secret: words.secret === 'secret',
    },
  )
}

/** An IP address to listen on. Names are refused: which of their addresses would be meant? */
export function address(words: Words<string>) {
  return createOption((written) => (typeof written === 'string' && isIP(written) !== 0 ? written : undefined), {
    kind: 'address',
    expected: 'an IP address of this machine, like 127.0.0.1, or 0.0.0.0 or :: for all of them',
    ...words,
    secret: false,
  })
}

/** A path of the server in front, or nothing. */
export function pathPrefix(words: { readonly reason: string }) {
  const form = matching(
    /^(?!\/v2\/)(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+\/$/,
    'a path that begins and ends with a slash and is not below /v2/, like /internal/',
  )
  return optionalText({ ...words, form })
}

const patternCharacters = /^[A-Za-z0-9._/*-]{1,300}$/

/** A pattern of repository names or tags; what it matches is `registry/glob.ts`. */
export function pattern(words: Words<string>) {
  return createOption(
    (written) => (typeof written === 'string' && patternCharacters.test(written) ? written : undefined),
    {
      kind: 'pattern',
      expected:
        'a pattern of letters, digits, . _ - / and stars: one star stands for anything but a slash, two for anything',
      ...words,
      secret: false,
    },
  )
}

/** A whole number within limits. */
export function number(words: Words<number> & Limits<number>) {
  return createOption(
    (written) => {
      const digits = typeof written === 'number' ? String(written) : written
      const value = typeof digits === 'string' && /^\d{1,16}$/.test(digits) ? Number(digits) : undefined
      return isWithin(value, words.min, words.max) ? value : undefined
    },
    {
      kind: 'number',
      expected: `a whole number from ${words.min} to ${words.max}`,
      default: words.default,
      reason: words.reason,
      secret: false,
    },
  )
}

/** An amount with a unit, within limits that are written the same way. */
function amount(
  kind: 'duration' | 'size',
  parse: (text: string) => number | undefined,
  units: string,
  words: Words<string> & Limits<string>,
) {
  const min = parse(words.min) ?? Number.NaN
  const max = parse(words.max) ?? Number.NaN
  return createOption(
    (written) => {
      const value = typeof written === 'string' ? parse(written) : undefined
      return isWithin(value, min, max) ? value : undefined
    },
    {
      kind,
      expected: `a ${kind} from ${words.min} to ${words.max}: a whole number and its unit (${units}), like ${words.default}`,
      default: words.default,
      reason: words.reason,
      secret: false,
    },
  )
}

/** A duration within limits; milliseconds in the code, so its row is named `…Ms` (and without `Ms` in the file). */
export function duration(words: Words<string> & Limits<string>) {
  return amount('duration', parseDuration, durationUnitNames, words)
}

/** A size within limits; bytes in the code, so its row is named `…Bytes`. */
export function size(words: Words<string> & Limits<string>) {
  return amount('size', parseSize, sizeUnitNames, words)
}

/** One of a few words. */
export function choice<const Choice extends string>(words: Words<Choice> & { readonly of: readonly Choice[] }) {
  return createOption<Choice>((written) => words.of.find((one) => one === written), {
    kind: 'choice',
    expected: `one of ${words.of.join(', ')}`,
    default: words.default,
    reason: words.reason,
    secret: false,
  })
}

/** On or off. */
export function onOff(words: Words<boolean>) {
  const values = new Map<unknown, boolean>([
    [true, true],
    [false, false],
    ['true', true],
    ['false', false],
  ])
  return createOption((written) => values.get(written), {
    kind: 'switch',
    expected: 'true or false',
    ...words,
    secret: false,
  })
}

/** A section of the file: options or sections under one key. */
export function section<const Entries extends v.ObjectEntries>(about: string, entries: Entries) {
  return Object.assign(v.strictObject(entries), { about })
}

/** A section as those see it that walk over all options. */
export interface Section {
  readonly about: string
  readonly entries: Readonly<Record<string, Option | Section>>
}
