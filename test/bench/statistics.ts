/** Medians and quantiles. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2
}

/** The value that so large a share is not above. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN
}

/** Half the width of the 95 % interval of a median, by the binomial distribution, whatever the shape. Fewer than six values have none. */
export function medianInterval(values: readonly number[]): number | undefined {
  if (values.length < 6) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  const reach = 0.98 * Math.sqrt(sorted.length)
  const low = sorted[Math.floor(sorted.length / 2 - reach)] ?? NaN
  const high = sorted[Math.ceil(sorted.length / 2 + reach) - 1] ?? NaN
  return (high - low) / 2
}
