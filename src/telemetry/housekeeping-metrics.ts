/** What is counted of the sweep, of retention and of scrubs; all gauges are of the last run, so of several processes the largest counts. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** One run of the sweep, or of retention, that ended. */
export type RunSample =
  | { readonly outcome: 'done'; readonly seconds: number; readonly counts: object }
  | { readonly outcome: 'failed'; readonly seconds: number }

/** One scrub that ended. */
export type ScrubSample =
  | {
      readonly outcome: 'done'
      readonly seconds: number
      readonly counts: { readonly bytes: number; readonly found: Readonly<Record<string, number>> }
    }
  | { readonly outcome: 'failed'; readonly seconds: number }

export function createSweepMetrics(registers: Registry[]): (sample: RunSample) => void {
  const runs = new Counter({
    name: 'berth_sweep_runs_total',
    help: 'Runs of the sweep that ended, by outcome: done or failed.',
    labelNames: ['outcome'],
    registers,
  })
  const seconds = new Counter({
    name: 'berth_sweep_seconds_total',
    help: 'Time that runs of the sweep took.',
    registers,
  })
  const removed = new Counter({
    name: 'berth_sweep_removed_total',
    help: 'Things that the sweep removed, by kind: blobs, uploads, pushes, tags, hints, marks, leftovers.',
    labelNames: ['kind'],
    registers,
  })
  const freed = new Counter({ name: 'berth_sweep_freed_bytes_total', help: 'Bytes that the sweep freed.', registers })
  const waiting = new Gauge({
    name: 'berth_sweep_waiting',
    help: 'What the last run looked at and left for later: it is still leased, or has not happened yet.',
    aggregator: 'max',
    registers,
  })
  const unreadable = new Gauge({
    name: 'berth_sweep_unreadable',
    help: 'Records that the last run could not read and left to the scrub.',
    aggregator: 'max',
    registers,
  })
  const failed = new Gauge({
    name: 'berth_sweep_failed',
    help: 'Works of the last run that the store failed; the next run tries them again.',
    aggregator: 'max',
    registers,
  })
  return (sample) => {
    runs.inc({ outcome: sample.outcome })
    seconds.inc(sample.seconds)
    if (sample.outcome === 'failed') return
    for (const [name, count] of Object.entries<unknown>({ ...sample.counts })) {
      if (typeof count !== 'number') continue
      if (name === 'freedBytes') freed.inc(count)
      else if (name === 'waiting') waiting.set(count)
      else if (name === 'unreadable') unreadable.set(count)
      else if (name === 'failed') failed.set(count)
      else removed.inc({ kind: name }, count)
    }
  }
}

export function createScrubMetrics(registers: Registry[]): (sample: ScrubSample) => void {
  const runs = new Counter({
    name: 'berth_scrub_runs_total',
    help: 'Scrubs that ended, by outcome: done or failed.',
    labelNames: ['outcome'],
    registers,
  })
  const seconds = new Counter({ name: 'berth_scrub_seconds_total', help: 'Time that scrubs took.', registers })
  const bytes = new Counter({
    name: 'berth_scrub_read_bytes_total',
    help: 'Bytes of blobs that scrubs have read.',
    registers,
  })
  const findings = new Gauge({
    name: 'berth_scrub_findings',
    help: 'What the last scrub found, by kind: damaged, dangling, broken and so on; docs/operations.md explains them.',
    labelNames: ['kind'],
    registers,
  })
  return (sample) => {
    runs.inc({ outcome: sample.outcome })
    seconds.inc(sample.seconds)
    if (sample.outcome === 'failed') return
    bytes.inc(sample.counts.bytes)
    for (const [kind, count] of Object.entries(sample.counts.found)) findings.set({ kind }, count)
  }
}

export function createRetentionMetrics(registers: Registry[]): (sample: RunSample) => void {
  const runs = new Counter({
    name: 'berth_retention_runs_total',
    help: 'Runs of retention that ended, by outcome: done or failed.',
    labelNames: ['outcome'],
    registers,
  })
  const seconds = new Counter({
    name: 'berth_retention_seconds_total',
    help: 'Time that runs of retention took.',
    registers,
  })
  const removed = new Counter({
    name: 'berth_retention_removed_total',
    help: 'What retention removed, by kind: tags or manifests.',
    labelNames: ['kind'],
    registers,
  })
  const waiting = new Gauge({
    name: 'berth_retention_waiting',
    help: 'Untagged manifests that the last run left for later.',
    aggregator: 'max',
    registers,
  })
  const unreadable = new Gauge({
    name: 'berth_retention_unreadable',
    help: 'Records that the last run could not read and left to the scrub.',
    aggregator: 'max',
    registers,
  })
  const failed = new Gauge({
    name: 'berth_retention_failed',
    help: 'Works of the last run that the store failed; the next run tries them again.',
    aggregator: 'max',
    registers,
  })
  return (sample) => {
    runs.inc({ outcome: sample.outcome })
    seconds.inc(sample.seconds)
    if (sample.outcome === 'failed') return
    for (const [name, count] of Object.entries<unknown>({ ...sample.counts })) {
      if (typeof count !== 'number') continue
      if (name === 'waiting') waiting.set(count)
      else if (name === 'unreadable') unreadable.set(count)
      else if (name === 'failed') failed.set(count)
      else if (name === 'tags' || name === 'manifests') removed.inc({ kind: name }, count)
    }
  }
}
