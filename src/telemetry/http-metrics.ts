/** What is counted of requests. */
import { Counter, Gauge, type Registry } from 'prom-client'
import { type Cell, Tally } from './tally.ts'

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

export interface HttpMetrics {
  /** Counts a request that begins; `recordRequest` must follow. */
  startRequest(): void
  /** Counts a request body that begins to arrive; `endBody` must follow. */
  startBody(): void
  endBody(): void
  /** Counts a request that ended, however it ended. */
  recordRequest(sample: RequestSample): void
}

/** Clients can invent methods; these are the ones that get a label of their own. */
const methods = new Set(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'])

/** From a record out of the page cache to a slow push of a big layer. */
const durationBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120, 600]

const labelNames = ['route', 'method', 'status']

/** What is counted of one combination of labels. */
interface Series {
  readonly labels: Readonly<Record<string, string>>
  readonly durations: Cell
  count: number
  received: number
  sent: number
}

/** The series of all combinations of labels that were seen, and the metrics that show them. */
function createSeries(registers: Registry[]) {
  const all = new Map<string, Series>()
  const addCounter = (name: string, help: string, valueOf: (series: Series) => number): void => {
    void new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        for (const series of all.values()) this.inc(series.labels, valueOf(series))
      },
    })
  }
  addCounter(
    'berth_http_requests_total',
    'Requests that ended; status 499 means that the client left first.',
    (series) => series.count,
  )
  const durations = new Tally({
    name: 'berth_http_request_duration_seconds',
    help: 'Time from the headers of a request to the end of its answer.',
    labelNames,
    buckets: durationBucketsSeconds,
    registers,
  })
  addCounter(
    'berth_http_request_bytes_total',
    'Bytes of request bodies that were received.',
    (series) => series.received,
  )
  addCounter('berth_http_response_bytes_total', 'Bytes of response bodies that were sent.', (series) => series.sent)

  return function find(route: string, method: string, status: number): Series {
    const known = methods.has(method) ? method : 'other'
    const key = `${route} ${known} ${status}`
    let series = all.get(key)
    if (series === undefined) {
      const labels = { route, method: known, status: String(status) }
      series = { labels, durations: durations.open(labels), count: 0, received: 0, sent: 0 }
      all.set(key, series)
    }
    return series
  }
}

export function createHttpMetrics(registers: Registry[]): HttpMetrics {
  let running = 0
  let bodies = 0
  void new Gauge({
    name: 'berth_http_requests_in_flight',
    help: 'Requests that have begun and not ended.',
    registers,
    collect() {
      this.set(running)
    },
  })
  void new Gauge({
    name: 'berth_http_bodies_in_flight',
    help: 'Request bodies that are arriving: what `limits.maxUploads` limits.',
    registers,
    collect() {
      this.set(bodies)
    },
  })
  const findSeries = createSeries(registers)
  return {
    startRequest: () => void running++,
    startBody: () => void bodies++,
    endBody: () => void bodies--,
    recordRequest: ({ route, method, status, durationSeconds, requestBytes, responseBytes }) => {
      const series = findSeries(route, method, status)
      running--
      series.count++
      series.received += requestBytes
      series.sent += responseBytes
      series.durations.observe(durationSeconds)
    },
  }
}
