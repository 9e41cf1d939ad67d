/**
 * A histogram of which each combination of labels is looked up once, not at every observation: counting is a few additions then. The only place that
 * knows how prom-client hands values on.
 */
import { Histogram, type HistogramConfiguration } from 'prom-client'

/** One combination of labels. */
export interface Cell {
  /** Counts one value, in the base unit. */
  observe(value: number): void
}

type Labels = Readonly<Record<string, string>>

interface Counts {
  readonly labels: Labels
  /** How many values each bucket holds by itself; the last is for all above. */
  readonly perBucket: number[]
  sum: number
}

// A registry of prom-client wants an object of its own classes; it asks them for their values by `getForPromString`.
export class Tally extends Histogram {
  readonly #name: string
  readonly #bounds: readonly number[]
  readonly #described: object
  readonly #all: Counts[] = []

  constructor(configuration: HistogramConfiguration<string> & { readonly buckets: number[] }) {
    super(configuration)
    const { name, help, buckets } = configuration
    this.#name = name
    this.#bounds = buckets
    this.#described = { name, help, type: 'histogram', aggregator: 'sum' }
  }

  /** Begins to count a combination of labels; call it once for each, and keep what it returns. */
  open(labels: Labels): Cell {
    const bounds = this.#bounds
    const perBucket = Array.from({ length: bounds.length + 1 }, () => 0)
    const counts: Counts = { labels, perBucket, sum: 0 }
    this.#all.push(counts)
    return {
      observe(value) {
        let i = 0
        while (i < bounds.length && value > (bounds[i] ?? 0)) i++
        perBucket[i] = (perBucket[i] ?? 0) + 1
        counts.sum += value
      },
    }
  }

  getForPromString(): object {
    return { ...this.#described, values: this.#all.flatMap((counts) => this.#valuesOf(counts)) }
  }

  #valuesOf({ labels: sharedLabels, perBucket, sum }: Counts): readonly object[] {
    let count = 0
    const buckets = perBucket.map((inBucket, i) => {
      count += inBucket
      return {
        metricName: `${this.#name}_bucket`,
        labels: { le: this.#bounds[i] ?? '+Inf' },
        sharedLabels,
        value: count,
      }
    })
    return [
      ...buckets,
      { metricName: `${this.#name}_sum`, labels: {}, sharedLabels, value: sum },
      { metricName: `${this.#name}_count`, labels: {}, sharedLabels, value: count },
    ]
  }
}
