/**
 * What a mixed load has seen of a server over time: a table with a row a minute, and whether it grows. It must not know where the figures
 * come from.
 */
import type { Kind, Taken } from './processes.ts'

/** What the processes took at one moment. */
export interface Sample {
  readonly processes: readonly Pick<Taken, 'kind' | 'bytes' | 'files'>[]
}

const mebibyte = 1024 * 1024

/**
 * The median of the last third of the time may be so much larger than that of the middle third; the first is not compared, for then code is compiled and
 * caches fill. What is allowed is what the heap of a process goes up and down by between two collections of its old objects, and what caches that have
 * a limit may still take. Within 30 minutes a worker answers some 300,000 requests in a third of the time, so 56 bytes that each leaves behind are found.
 */
export const growth = { bytesPerProcess: 16 * mebibyte, factor: 1.1 } as const

/** Files of a server at rest that may differ between two looks: a thread of Node.js opens one for a moment. */
const restSlackFiles = 2

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function sumOf(sample: Sample, what: 'bytes' | 'files', kind?: Kind): number {
  const counted = sample.processes.filter((one) => kind === undefined || one.kind === kind)
  return counted.reduce((sum, one) => sum + one[what], 0)
}

/** The samples of the middle third of the time, and of the last. */
function lastThirds(samples: readonly Sample[]): readonly [middle: readonly Sample[], last: readonly Sample[]] {
  const third = Math.floor(samples.length / 3)
  return [samples.slice(third, 2 * third), samples.slice(2 * third)]
}

/** What has grown, in sentences. `samples` are of the load, evenly spaced; `rests` of before and after, when nothing was asked. */
export function findGrowth(
  samples: readonly Sample[],
  rests: { readonly before: Sample; readonly after: Sample },
): string[] {
  const [middle, last] = lastThirds(samples)
  const grown: string[] = []
  for (const kind of ['server', 'worker', 'sweeper'] as const) {
    const count = Math.max(...samples.map(({ processes }) => processes.filter((one) => one.kind === kind).length))
    const middleOf = (third: readonly Sample[]): number => median(third.map((sample) => sumOf(sample, 'bytes', kind)))
    const [was, is] = [middleOf(middle), middleOf(last)]
    if (is > Math.max(was * growth.factor, was + growth.bytesPerProcess * count))
      grown.push(`memory of ${count} × ${kind}: ${inMebibytes(was)} MiB, then ${inMebibytes(is)} MiB`)
    const [before, after] = [sumOf(rests.before, 'files', kind), sumOf(rests.after, 'files', kind)]
    if (after > before + restSlackFiles)
      grown.push(`open files of ${count} × ${kind} at rest: ${before} before, ${after} after`)
  }
  return grown
}

function inMebibytes(bytes: number): number {
  return Math.round(bytes / mebibyte)
}

/** What was done within a minute. */
interface Minute {
  readonly done: Record<'pull' | 'push', number>
  /** Answers by the first digit of their status. */
  readonly answers: Map<number, number>
  /** Of bodies, both ways. */
  bytes: number
  readonly samples: Sample[]
}

export interface Chart {
  readonly samples: readonly Sample[]
  /** Answers by their status. */
  readonly answers: ReadonlyMap<number, number>
  readonly countAnswer: (status: number, bytes: number) => void
  readonly countDone: (what: 'pull' | 'push') => void
  readonly addSample: (sample: Sample) => void
  /** A row a minute. */
  readonly render: () => readonly string[]
}

const columns = [
  'minute',
  'pulls',
  'pushes',
  '2xx',
  '4xx',
  '5xx',
  'MiB moved',
  'memory in MiB',
  'server + workers + sweeper',
  'peak',
  'files',
]

function renderMinute({ done, answers, bytes, samples }: Minute, index: number): readonly string[] {
  const memory = (kind?: Kind): number => inMebibytes(median(samples.map((sample) => sumOf(sample, 'bytes', kind))))
  const each = (['server', 'worker', 'sweeper'] as const).map(memory)
  const peak = Math.max(0, ...samples.map((sample) => sumOf(sample, 'bytes')))
  const files = median(samples.map((sample) => sumOf(sample, 'files')))
  const statuses = [2, 4, 5].map((digit) => answers.get(digit) ?? 0)
  return [
    index + 1,
    done.pull,
    done.push,
    ...statuses,
    inMebibytes(bytes),
    memory(),
    each.join(' + '),
    inMebibytes(peak),
    files,
  ].map(String)
}

/** `nowMs` is the time since the load began. */
export function createChart(nowMs: () => number): Chart {
  const minutes: Minute[] = []
  const samples: Sample[] = []
  const answers = new Map<number, number>()
  const add = (counts: Map<number, number>, key: number): void => void counts.set(key, (counts.get(key) ?? 0) + 1)

  function minute(): Minute {
    const index = Math.floor(nowMs() / 60_000)
    while (minutes.length <= index)
      minutes.push({ done: { pull: 0, push: 0 }, answers: new Map(), bytes: 0, samples: [] })
    return minutes[index] ?? minute()
  }
  return {
    samples,
    answers,
    countAnswer(status, bytes) {
      add(answers, status)
      add(minute().answers, Math.floor(status / 100))
      minute().bytes += bytes
    },
    countDone: (what) => void minute().done[what]++,
    addSample(sample) {
      samples.push(sample)
      minute().samples.push(sample)
    },
    render() {
      const rows = [columns, ...minutes.map(renderMinute)]
      const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
      return rows.map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '))
    },
  }
}
