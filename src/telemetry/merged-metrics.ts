/**
 * The metrics of several processes as those of one server: counters and histograms are summed and never fall, also when a process ends; gauges are
 * those of the processes that live, summed unless the metric says otherwise. It knows nothing of processes, only what they counted.
 */
import { AggregatorRegistry } from 'prom-client'
import type { Metrics, Rendered } from './metrics.ts'

/** One metric with its values, as prom-client describes it. */
interface MetricSnapshot {
  readonly name: string
  readonly type: string | number
}

/** Everything that one process has counted. */
export type Snapshot = readonly MetricSnapshot[]

/** What processes that have ended had counted. */
export interface Retired {
  readonly add: (snapshot: Snapshot) => void
  readonly total: () => Promise<Snapshot>
}

const sumOf = (snapshots: readonly Snapshot[]): Promise<Snapshot> =>
  AggregatorRegistry.aggregate(snapshots.map((one) => [...one])).getMetricsAsJSON()

/** Keeps one sum, however many processes end. */
export function createRetired(): Retired {
  let total = Promise.resolve<Snapshot>([])
  return {
    add: (snapshot) => {
      const lasting = snapshot.filter(({ type }) => type === 'counter' || type === 'histogram')
      total = total.then((before) => sumOf([before, lasting]))
    },
    total: () => total,
  }
}

/** The answer to a scraper: what this process counted, and the others of the same server. */
export async function renderMerged(own: Metrics, others: readonly Snapshot[]): Promise<Rendered> {
  if (others.length === 0) return own.render()
  const first = await own.snapshot()
  const merged = AggregatorRegistry.aggregate([first, ...others])
  return { contentType: merged.contentType, text: await merged.metrics() }
}
