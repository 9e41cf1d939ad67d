/**
 * Durations and sizes as people write them: one whole number and its unit. Pure; it knows no option. Without a unit a number is refused,
 * because nobody can tell seconds from milliseconds by looking at `60`.
 */

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const sizeUnits = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const

/** The units, for messages. */
export const durationUnitNames = Object.keys(durationUnits).join(', ')
export const sizeUnitNames = Object.keys(sizeUnits).join(', ')

function parseAmount(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit] = /^(\d{1,16})([A-Za-z]{1,3})$/.exec(text) ?? []
  if (digits === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined
  const amount = Number(digits) * (units[unit] ?? 0)
  return Number.isSafeInteger(amount) ? amount : undefined
}

/** A number of bytes as people write it, in the largest unit that leaves a whole number: 8388608 is `8MiB`. */
export function formatSize(bytes: number): string {
  const [unit, unitBytes] = Object.entries(sizeUnits).findLast(([, each]) => bytes % each === 0) ?? ['B', 1]
  return `${bytes / unitBytes}${unit}`
}

/** Parses a duration like `60s` into milliseconds; `undefined` when it is none. Units: `ms`, `s`, `m`, `h`, `d`. */
export function parseDuration(text: string): number | undefined {
  return parseAmount(text, durationUnits)
}

/** Parses a size like `4MiB` into bytes; `undefined` when it is none. Units: `B`, `KiB`, `MiB`, `GiB`, `TiB`, each 1,024 of the one before. */
export function parseSize(text: string): number | undefined {
  return parseAmount(text, sizeUnits)
}
