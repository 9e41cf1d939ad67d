/** What the process itself needs: processor, memory, files, and how long its event loop keeps others waiting. */
import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, type Registry } from 'prom-client'

/** How often the event loop is looked at, in ms: often enough for a pause that a request would notice. */
const resolutionMs = 20

/** Starts to observe this process: once per process. Values are looked up when somebody scrapes. */
export function collectProcess(registers: Registry[]): void {
  void new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time, user and system.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
  addGauge(registers, 'process_resident_memory_bytes', 'Memory that the system has given to the process.', () =>
    process.memoryUsage.rss(),
  )
  addGauge(
    registers,
    'nodejs_heap_size_used_bytes',
    'Memory that JavaScript objects use.',
    () => process.memoryUsage().heapUsed,
  )
  addGauge(
    registers,
    'nodejs_external_memory_bytes',
    'Memory outside of the heap, mostly the buffers of transfers.',
    () => process.memoryUsage().external,
  )
  addGauge(registers, 'process_open_fds', 'Open files and sockets; NaN where the system does not tell.', countOpenFiles)
  const startTime = new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the process started, in seconds since 1970; of several the oldest.',
    registers,
    aggregator: 'min',
  })
  startTime.set(Math.round(performance.timeOrigin) / 1000)
  collectEventLoop(registers)
}

function addGauge(registers: Registry[], name: string, help: string, read: () => number): void {
  void new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read())
    },
  })
}

function countOpenFiles(): number {
  try {
    // The folder that is being read is one of them.
    return readdirSync('/proc/self/fd').length - 1
  } catch {
    return Number.NaN
  }
}

function collectEventLoop(registers: Registry[]): void {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs })
  delays.enable()
  void new Gauge({
    name: 'berth_event_loop_delay_seconds',
    help: 'How late the event loop was since the last scrape: the median, the 99th percentile (0.99) and the longest (1); of several processes the worst.',
    labelNames: ['quantile'],
    registers,
    aggregator: 'max',
    collect() {
      for (const quantile of [0.5, 0.99, 1]) this.set({ quantile: String(quantile) }, delayAt(delays, quantile))
      delays.reset()
    },
  })
}

/** What is measured is the time between two looks, so being in time is a delay of 0. */
function delayAt(delays: ReturnType<typeof monitorEventLoopDelay>, quantile: number): number {
  const nanoseconds = quantile === 1 ? delays.max : delays.percentile(quantile * 100)
  return delays.count === 0 ? 0 : Math.max(0, nanoseconds / 1e9 - resolutionMs / 1000)
}
