/** What is counted of the calls to the store, and of what the registry does with it. */
import { Counter, type Registry } from 'prom-client'
import { type Cell, Tally } from './tally.ts'

export interface StorageMetrics {
  /** Takes the calls to the driver of a kind: which method, how it ended, how long it took. */
  meterStorage(driver: string): { record(operation: string, outcome: string, durationMs: number): void }
  /** Counts what the registry did. */
  countEvent(event: RegistryEvent): void
}

/** What the registry tells. */
export type RegistryEvent = 'lease renewed' | 'upload started' | 'upload closed' | 'upload cancelled'

/** From a stat out of the cache to a disk that hangs. */
const durationBucketsSeconds = [0.000_025, 0.0001, 0.000_25, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10]

export function createStorageMetrics(registers: Registry[]): StorageMetrics {
  const durations = new Tally({
    name: 'berth_storage_operation_duration_seconds',
    help: 'Time of the calls that requests made to the store. Operations are the methods of `src/storage/driver.ts`, with `seal` for the end of a body. Outcomes: done; absent, exists, refused, changed (answers as good as done); full, read-only, unavailable, aborted, failed.',
    labelNames: ['driver', 'operation', 'outcome'],
    buckets: durationBucketsSeconds,
    registers,
  })
  const renewals = new Counter({
    name: 'berth_lease_renewals_total',
    help: 'Leases of blobs that a request renewed.',
    registers,
  })
  const started = new Counter({
    name: 'berth_uploads_started_total',
    help: 'Upload sessions that were opened. Those that were neither ended nor swept (`berth_sweep_removed_total{kind="uploads"}`) are open.',
    registers,
  })
  const ended = new Counter({
    name: 'berth_uploads_ended_total',
    help: 'Upload sessions that a client ended, by how: closed or cancelled.',
    labelNames: ['how'],
    registers,
  })
  const closed = ended.labels({ how: 'closed' })
  const cancelled = ended.labels({ how: 'cancelled' })
  return {
    meterStorage(driver) {
      const cells = new Map<string, Cell>()
      return {
        record(operation, outcome, durationMs) {
          const key = `${operation} ${outcome}`
          let cell = cells.get(key)
          if (cell === undefined) cells.set(key, (cell = durations.open({ driver, operation, outcome })))
          cell.observe(durationMs / 1000)
        },
      }
    },
    countEvent(event) {
      switch (event) {
        case 'lease renewed':
          return renewals.inc()
        case 'upload started':
          return started.inc()
        case 'upload closed':
          return closed.inc()
        case 'upload cancelled':
          return cancelled.inc()
      }
    },
  }
}
