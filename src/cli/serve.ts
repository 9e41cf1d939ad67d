/** `berth serve`: opens the store, listens, and goes on until it is told to stop. */
import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type App, createApp } from '../app.ts'
import { allowAll } from '../auth/policy.ts'
import type { Config } from '../config/schema.ts'
import { createLocalRegistry } from '../registry/local.ts'
import { createLogger, type Logger } from '../telemetry/logger.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { createPulseServer } from '../telemetry/pulse.ts'
import { renderBanner, type Started } from './banner.ts'
import { type Command, configOption, type Given, type Surroundings } from './command.ts'
import { loadGivenConfig } from './config.ts'
import { configureRegistry } from './configured.ts'
import { listen, stopListening } from './listen.ts'
import { openStore, type Store } from './open-store.ts'
import { keepSweeping } from './sweeper.ts'
import { version } from './version.ts'

/** How long handlers may go on after their connections are gone: one sync of a disk that is busy. */
const settleMs = 2000

/** A second signal within this time is the same one: npm passes on a Ctrl-C that the terminal has sent us already. */
const sameSignalMs = 500

export const serve: Command = {
  name: 'serve',
  summary: 'start the registry',
  options: configOption,
  run: async (given, surroundings) => {
    const { config } = loadGivenConfig(given, surroundings)
    const log = createConfiguredLogger(config, surroundings)
    const stop = listenForStop(surroundings)
    const store = await openStore(config, log)
    try {
      await serveUntilStopped({ config, given, surroundings, log, store, stop })
    } finally {
      stop.forget()
      await store.driver.close()
    }
    log.info('Berth has stopped')
  },
}

interface Serving {
  readonly config: Config
  readonly given: Given
  readonly surroundings: Surroundings
  readonly log: Logger
  readonly store: Store
  readonly stop: StopSignals
}

async function serveUntilStopped({ config, given, surroundings, log, store, stop }: Serving): Promise<void> {
  const metrics = createMetrics(version)
  metrics.collectProcess()
  const app = createConfiguredApp(config, store, log, metrics)
  const pulse = createPulseServer({
    checkReady: async (options) => {
      if (stop.requested.aborted) throw new Error('Berth is stopping')
      await store.checkReady(options)
    },
    readyTimeoutMs: config.pulse.readyTimeoutMs,
    renderMetrics: () => metrics.render(),
    log,
  })
  try {
    const started = await startListening(config, app, pulse, store.place)
    announce(started, config, surroundings, log)
    const sweeping = keepSweeping({ config, given, store, surroundings, log, metrics }, stop.requested)
    await once(stop.requested)
    log.info('Berth stops: no new connections, running requests may end', { limitMs: config.http.stopTimeoutMs })
    const outcome = await stopListening(app, { limitMs: config.http.stopTimeoutMs, hurry: stop.hurried })
    // A handler whose connection was cut seals what came and writes its line.
    await Promise.race([app.settled(), sleep(settleMs, undefined, { ref: false })])
    await sweeping
    if (outcome === 'cut') log.warn('requests that were still running were cut')
  } finally {
    for (const server of [app, pulse]) {
      server.close()
      server.closeAllConnections()
    }
  }
}

function createConfiguredLogger({ log }: Config, { out, isTerminal }: Surroundings): Logger {
  const automatic = isTerminal ? 'pretty' : 'json'
  const format = log.format === 'auto' ? automatic : log.format
  return createLogger({ level: log.level, format, write: out, now: () => new Date() })
}

function createConfiguredApp(config: Config, store: Store, log: Logger, metrics: Metrics): App {
  return createApp({
    registry: createLocalRegistry(configureRegistry(config, store)),
    authoriser: allowAll(),
    limits: config.http,
    accelPrefix: config.http.accelPrefix || undefined,
    log,
    metrics,
    createId: randomUUID,
    monotonicMs: () => performance.now(),
  })
}

async function startListening(config: Config, app: Server, pulse: Server, data: string): Promise<Started> {
  const port = await listen(app, { ...config.http, section: 'http' })
  const pulsePort = config.pulse.enabled ? await listen(pulse, { ...config.pulse, section: 'pulse' }) : undefined
  return {
    version,
    address: config.http.address,
    port,
    data,
    pulse: pulsePort === undefined ? undefined : { address: config.pulse.address, port: pulsePort },
  }
}

/** A block for a person on a terminal, one line for everybody else. */
function announce(started: Started, config: Config, { out, isTerminal }: Surroundings, log: Logger): void {
  if (isTerminal && config.log.format !== 'json') out(renderBanner(started))
  else log.info('Berth listens', { ...started })
  if (!/^(127\.|::1$)/.test(config.http.address)) {
    log.warn('Berth has no users yet: whoever reaches this address may push, pull and delete', {
      address: config.http.address,
    })
  }
}

interface StopSignals {
  /** Aborted by the first signal. */
  readonly requested: AbortSignal
  /** Aborted by a later one: somebody will not wait. */
  readonly hurried: AbortSignal
  readonly forget: () => void
}

function listenForStop({ onStop }: Surroundings): StopSignals {
  const requested = new AbortController()
  const hurried = new AbortController()
  let firstMs = 0
  const forget = onStop(() => {
    if (requested.signal.aborted && performance.now() - firstMs > sameSignalMs) hurried.abort()
    if (!requested.signal.aborted) firstMs = performance.now()
    requested.abort()
  })
  return { requested: requested.signal, hurried: hurried.signal, forget }
}

function once(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
