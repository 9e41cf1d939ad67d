/** Every metric once, in base units, with labels of few values. Each app has its own registry of metrics, so tests and workers do not share any. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Snapshot } from './merged-metrics.ts'

/** One finished request. */
export interface RequestSample {
  /** The id of the row in the route table; never a path, of which clients can invent any number. */
  readonly route: string
  readonly method: string
  /** The status that was sent, or 499 when the client left before. */
  readonly status: number
  readonly durationSeconds: number
  /** Bytes of the body that were received. */
  readonly requestBytes: number
  /** Bytes of the body that were sent. */
  readonly responseBytes: number
}

/** One run of the sweep, or of retention, that ended. */
export type RunSample =
  | { readonly outcome: 'done'; readonly seconds: number; readonly counts: object }
  | { readonly outcome: 'failed'; readonly seconds: number }

/** Why a worker ended: it met a bug, a signal killed it, it exited by itself, or it could not begin. */
export type WorkerEnd = 'bug' | 'killed' | 'exited' | 'refused'

/** One scrub that ended. */
export type ScrubSample =
  | {
      readonly outcome: 'done'
      readonly seconds: number
      readonly counts: { readonly bytes: number; readonly found: Readonly<Record<string, number>> }
    }
  | { readonly outcome: 'failed'; readonly seconds: number }

/** An answer to a scraper. */
export interface Rendered {
  readonly contentType: string
  readonly text: string
}

export interface Metrics {
  /** Says how many processes answer requests. */
  setWorkers(count: number): void
  /** Counts a worker that ended before it was told to. */
  recordWorkerEnd(cause: WorkerEnd): void
  /** Counts an error that nobody caught. */
  recordUncaught(): void
  /** Counts a scrub. */
  recordScrub(sample: ScrubSample): void
  /** Counts a run of the sweep. */
  recordSweep(sample: RunSample): void
  /** Counts a run of retention. */
  recordRetention(sample: RunSample): void
  /** Counts a request that begins; `recordRequest` must follow. */
  startRequest(): void
  /** Counts a request that ended, however it ended. */
  recordRequest(sample: RequestSample): void
  /** Adds memory, CPU, event loop and file descriptors of this process; once per process, because it starts observers. */
  collectProcess(): void
  /** The answer to a scraper, in the text format of Prometheus. */
  render(): Promise<Rendered>
  /** The same, to be summed with those of other processes. */
  snapshot(): Promise<Snapshot>
}

/** Clients can invent methods; these are the ones that get a label of their own. */
const methods = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'])

/** From a record out of the page cache to a slow push of a big layer. */
const durationBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120, 600]

const labelNames = ['route', 'method', 'status'] as const

export function createMetrics(version: string): Metrics {
  const registry = new Registry()
  const registers = [registry]
  registerBuild(registers, version)
  const inFlight = new Gauge({
    name: 'berth_http_requests_in_flight',
    help: 'Requests that have begun and not ended.',
    registers,
  })
  const requests = new Counter({
    name: 'berth_http_requests_total',
    help: 'Requests that ended; status 499 means that the client left first.',
    labelNames,
    registers,
  })
  const durations = new Histogram({
    name: 'berth_http_request_duration_seconds',
    help: 'Time from the headers of a request to the end of its answer.',
    labelNames,
    buckets: durationBucketsSeconds,
    registers,
  })
  const received = new Counter({
    name: 'berth_http_request_bytes_total',
    help: 'Bytes of request bodies that were received.',
    labelNames,
    registers,
  })
  const sent = new Counter({
    name: 'berth_http_response_bytes_total',
    help: 'Bytes of response bodies that were sent.',
    labelNames,
    registers,
  })
  return {
    ...createWorkerMetrics(registers),
    recordSweep: createSweepMetrics(registers),
    recordRetention: createRetentionMetrics(registers),
    recordScrub: createScrubMetrics(registers),
    startRequest: () => inFlight.inc(),
    recordRequest: (sample) => {
      const method = methods.has(sample.method) ? sample.method : 'other'
      const labels = { route: sample.route, method, status: String(sample.status) }
      inFlight.dec()
      requests.inc(labels)
      durations.observe(labels, sample.durationSeconds)
      received.inc(labels, sample.requestBytes)
      sent.inc(labels, sample.responseBytes)
    },
    collectProcess: () => collectDefaultMetrics({ register: registry }),
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    snapshot: () => registry.getMetricsAsJSON(),
  }
}

function registerBuild(registers: Registry[], version: string): void {
  const build = new Gauge({
    name: 'berth_build_info',
    help: 'Always 1; the labels say which Berth on which Node.js.',
    labelNames: ['version', 'node'],
    aggregator: 'first',
    registers,
  })
  build.set({ version, node: process.version }, 1)
}

function createWorkerMetrics(
  registers: Registry[],
): Pick<Metrics, 'setWorkers' | 'recordWorkerEnd' | 'recordUncaught'> {
  const workers = new Gauge({ name: 'berth_workers', help: 'Processes that answer requests.', registers })
  const ends = new Counter({
    name: 'berth_worker_ends_total',
    help: 'Workers that ended before they were told to, by cause: bug, killed, exited, refused (it could not begin).',
    labelNames: ['cause'],
    registers,
  })
  const uncaught = new Counter({
    name: 'berth_uncaught_errors_total',
    help: 'Errors that nobody caught: bugs. The process that met one ends, and the log says where it was.',
    registers,
  })
  return {
    setWorkers: (count) => workers.set(count),
    recordWorkerEnd: (cause) => ends.inc({ cause }),
    recordUncaught: () => uncaught.inc(),
  }
}

function createSweepMetrics(registers: Registry[]): Metrics['recordSweep'] {
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
    registers,
  })
  const unreadable = new Gauge({
    name: 'berth_sweep_unreadable',
    help: 'Records that the last run could not read and left to the scrub.',
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
      else removed.inc({ kind: name }, count)
    }
  }
}

function createScrubMetrics(registers: Registry[]): Metrics['recordScrub'] {
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

function createRetentionMetrics(registers: Registry[]): Metrics['recordRetention'] {
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
    registers,
  })
  const unreadable = new Gauge({
    name: 'berth_retention_unreadable',
    help: 'Records that the last run could not read and left to the scrub.',
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
      else if (name === 'tags' || name === 'manifests') removed.inc({ kind: name }, count)
    }
  }
}
