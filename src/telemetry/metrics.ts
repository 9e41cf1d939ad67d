/** Every metric, in base units, with labels of few values. Each app has its own registry of metrics, so tests and workers do not share any. */
import { Gauge, Registry } from 'prom-client'
import {
  createRetentionMetrics,
  createScrubMetrics,
  createSweepMetrics,
  type RunSample,
  type ScrubSample,
} from './housekeeping-metrics.ts'
import { createHttpMetrics, type HttpMetrics } from './http-metrics.ts'
import type { Snapshot } from './merged-metrics.ts'
import { collectProcess } from './process-metrics.ts'
import { createStorageMetrics, type StorageMetrics } from './storage-metrics.ts'
import { createWorkerMetrics, type WorkerMetrics } from './worker-metrics.ts'

/** An answer to a scraper. */
export interface Rendered {
  readonly contentType: string
  readonly text: string
}

export interface Metrics extends HttpMetrics, StorageMetrics, WorkerMetrics {
  /** Counts a scrub. */
  recordScrub(sample: ScrubSample): void
  /** Counts a run of the sweep. */
  recordSweep(sample: RunSample): void
  /** Counts a run of retention. */
  recordRetention(sample: RunSample): void
  /** Adds memory, CPU, event loop and file descriptors of this process; once per process, because it starts observers. */
  collectProcess(): void
  /** The answer to a scraper, in the text format of Prometheus. */
  render(): Promise<Rendered>
  /** The same, to be merged with those of other processes. */
  snapshot(): Promise<Snapshot>
  /** What there is, for `docs/telemetry.md`. */
  describe(): readonly MetricDescription[]
}

/** One metric as a reader sees it. */
export interface MetricDescription {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  readonly help: string
  /** How the values of several worker processes become one. */
  readonly aggregator: string
}

export function createMetrics(version: string): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const build = new Gauge({
    name: 'berth_build_info',
    help: 'Always 1; the labels say which Berth on which Node.js.',
    labelNames: ['version', 'node'],
    aggregator: 'first',
    registers,
  })
  build.set({ version, node: process.version }, 1)
  return {
    ...createHttpMetrics(registers),
    ...createStorageMetrics(registers),
    ...createWorkerMetrics(registers),
    recordSweep: createSweepMetrics(registers),
    recordRetention: createRetentionMetrics(registers),
    recordScrub: createScrubMetrics(registers),
    collectProcess: () => collectProcess(registers),
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    snapshot: () => registry.getMetricsAsJSON(),
    describe: () => describe(registry),
  }
}

function describe(registry: Registry): readonly MetricDescription[] {
  return registry.getMetricsAsArray().map((metric) => ({
    name: metric.name,
    type: String(metric.type),
    labels: 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames.map(String) : [],
    help: metric.help,
    aggregator: metric.aggregator,
  }))
}
