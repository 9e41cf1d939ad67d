/** The figures of one operation as a Markdown table: medians, the best of all rounds, and how Berth compares. */
import type { Operation } from './operations.ts'

export interface Sample {
  readonly speed: number
  readonly cpu: number
}

const berth = 'berth'

export function renderTable(
  { name, speedUnit, cpuUnit }: Pick<Operation, 'name' | 'speedUnit' | 'cpuUnit'>,
  samples: ReadonlyMap<string, readonly Sample[]>,
): string {
  const ours = samples.get(berth) ?? []
  const rows = [...samples].map(([server, theirs]) => {
    const own = [server, figures(speedsOf(theirs), Math.max), figures(cpusOf(theirs), Math.min)]
    if (server === berth) return own.concat('', '')
    return own.concat(ratio(speedsOf(ours), speedsOf(theirs)), ratio(cpusOf(ours), cpusOf(theirs)))
  })
  const head = [name, speedUnit, cpuUnit, 'Berth is … as fast', 'with … the CPU']
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n') + '\n'
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2
}

function speedsOf(samples: readonly Sample[]): number[] {
  return samples.map(({ speed }) => speed)
}

function cpusOf(samples: readonly Sample[]): number[] {
  return samples.map(({ cpu }) => cpu)
}

function figures(values: readonly number[], best: (...values: number[]) => number): string {
  return `${short(median(values))} (${short(best(...values))})`
}

function ratio(ours: readonly number[], theirs: readonly number[]): string {
  return `${(median(ours) / median(theirs)).toFixed(2)} ×`
}

function short(value: number): string {
  return value >= 10 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
}
