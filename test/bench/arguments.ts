/** The words behind `npm run bench --`. */
import { parseArgs } from 'node:util'

export const usage = `npm run bench [-- OPTION...]
  --quick          about a minute: one short round, smaller pushes
  --rounds N       so many rounds, 3 without it; the table has medians
  --only PATTERN   operations whose name matches: --only "manifest|push of 1 KiB"`

export interface BenchOptions {
  readonly isQuick: boolean
  readonly rounds: number
  readonly only: RegExp
}

/** Throws an Error with a sentence about the first word that cannot be understood. */
export function parseOptions(words: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...words],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string', default: '' },
    },
  })
  const rounds = values.rounds ?? (values.quick ? '1' : '3')
  if (!/^[1-9]\d{0,2}$/.test(rounds))
    throw new Error(`--rounds takes a number from 1 to 999, not ${JSON.stringify(rounds)}`)
  return { isQuick: values.quick, rounds: Number(rounds), only: parsePattern(values.only) }
}

function parsePattern(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'i')
  } catch (error) {
    throw new Error(`--only takes a regular expression: ${error instanceof Error ? error.message : pattern}`, {
      cause: error,
    })
  }
}
