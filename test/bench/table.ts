/** Figures as rows of Markdown tables that also read well on a terminal: medians over the rounds, and how Berth compares. */
import type { Operation, Sample } from './operation.ts'
import type { ServerName } from './servers.ts'
import { median } from './statistics.ts'

/** Of one server in one operation. */
export interface Medians {
  readonly speed: number
  readonly cpuSeconds: number
  readonly p99Ms: number | undefined
  /** The most of all rounds. */
  readonly peakBytes: number
}

/** Berth is the first, as in the table. */
export type Results = ReadonlyMap<ServerName, Medians>

export function summarise(samples: readonly Sample[]): Medians {
  const p99s = samples.map(({ p99Ms }) => p99Ms).filter((one) => one !== undefined)
  return {
    speed: median(samples.map(({ speed }) => speed)),
    cpuSeconds: median(samples.map(({ cpuSeconds }) => cpuSeconds)),
    p99Ms: p99s.length === 0 ? undefined : median(p99s),
    peakBytes: Math.max(...samples.map(({ peakBytes }) => peakBytes)),
  }
}

const columns = [
  { title: 'operation', width: 47 },
  { title: 'server', width: 15 },
  { title: 'speed', width: 18 },
  { title: 'p99 ms', width: 8 },
  { title: 'CPU of one', width: 13 },
  { title: 'peak MiB', width: 8 },
  { title: 'Berth ÷ this: speed', width: 19 },
  { title: 'CPU', width: 6 },
] as const

export function renderHead(group: string): string {
  const titles = renderCells(columns.map(({ title }) => title))
  const lines = columns.map(({ width }, i) => '-'.repeat(width - (i < 2 ? 0 : 1)) + (i < 2 ? '' : ':'))
  return `\n## ${group}\n\n${titles}\n${renderCells(lines)}`
}

export function renderRows({ name, unit }: Pick<Operation, 'name' | 'unit'>, results: Results): string {
  const ours = results.get('berth')
  const rows = [...results].map(([server, { speed, cpuSeconds, p99Ms, peakBytes }], i) => {
    const own = [
      i === 0 ? name : '',
      server,
      `${short(speed)} ${unit}`,
      p99Ms === undefined ? '' : short(p99Ms),
      renderCpu(unit, cpuSeconds),
      short(peakBytes / 1024 / 1024),
    ]
    if (server === 'berth' || ours === undefined) return renderCells([...own, '', ''])
    return renderCells([...own, ratio(ours.speed, speed), ratio(ours.cpuSeconds, cpuSeconds)])
  })
  return rows.join('\n')
}

function renderCells(cells: readonly string[]): string {
  const padded = cells.map((cell, i) =>
    i < 2 ? cell.padEnd(columns[i]?.width ?? 0) : cell.padStart(columns[i]?.width ?? 0),
  )
  return `| ${padded.join(' | ')} |`
}

function renderCpu(unit: Operation['unit'], seconds: number): string {
  if (unit === 'MiB/s') return `${seconds.toFixed(2)} s/GiB`
  return unit === 'ms' ? `${seconds.toFixed(2)} s` : `${short(seconds * 1e6)} µs`
}

function ratio(ours: number, theirs: number): string {
  return Number.isFinite(ours / theirs) ? (ours / theirs).toFixed(2) : ''
}

function short(value: number): string {
  if (value >= 10) return Math.round(value).toLocaleString('en')
  return value.toFixed(value >= 1 ? 1 : 2)
}
