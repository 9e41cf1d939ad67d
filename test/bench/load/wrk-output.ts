/** What `wrk --latency` prints. */

export interface WrkOutcome {
  readonly count: number
  readonly seconds: number
  readonly p99Ms: number
}

const milliseconds: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

/** Throws when an answer was not 2xx, or none came. */
export function parseWrk(output: string): WrkOutcome {
  const [, count, time, unit = ''] = /(\d+) requests in ([\d.]+)(us|ms|s|m)/.exec(output) ?? []
  const [, p99, p99Unit = ''] = /^\s*99%\s+([\d.]+)(us|ms|s|m)$/m.exec(output) ?? []
  if (count === undefined || count === '0' || /Non-2xx|Socket errors/.test(output)) throw new Error(`wrk: ${output}`)
  return {
    count: Number(count),
    seconds: (Number(time) * (milliseconds[unit] ?? NaN)) / 1000,
    p99Ms: Number(p99) * (milliseconds[p99Unit] ?? NaN),
  }
}
