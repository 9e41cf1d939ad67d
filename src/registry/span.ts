/** Spans of time in words for people. */

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

/** A time span for people, in its largest unit, rounded down. */
export function describeSpan(ms: number): string {
  for (const [unit, length] of units) if (ms >= length) return `${Math.floor(ms / length)}${unit}`
  return `${Math.max(Math.floor(ms), 0)}ms`
}

/** A time that was set, in the largest unit of which it is a whole number. */
export function describeSetting(ms: number): string {
  for (const [unit, length] of units) if (ms >= length && ms % length === 0) return `${ms / length}${unit}`
  return `${ms}ms`
}
