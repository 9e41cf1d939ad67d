/** `berth serve`: opens the store, answers requests by itself or with workers, and goes on until it is told to stop. */
import type { Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/schema.ts'
import type { Logger } from '../telemetry/logger.ts'
import { renderMerged } from '../telemetry/merged-metrics.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { createPulseServer } from '../telemetry/pulse.ts'
import type { Answering } from './answering.ts'
import { renderBanner, type Started } from './banner.ts'
import { CommandError, type Given, type Surroundings } from './command.ts'
import { configArguments, type GivenConfig, loadGivenConfig } from './config.ts'
import { listen } from './listen.ts'
import { createLogs, type Logs } from './logs.ts'
import { openStore, type Store } from './open-store.ts'
import { createStop, obeySignals, once, type Stop, stopOnFaults, stoppingOf } from './stopping.ts'
import { keepSweeping } from './keep-sweeping.ts'
import { version } from './version.ts'
import { createWorkerPool } from './worker-pool.ts'

export async function serve(given: Given, surroundings: Surroundings): Promise<void> {
  const { config, texts } = loadGivenConfig(given, surroundings)
  const logs = createLogs(config, surroundings)
  const { log } = logs
  const metrics = createMetrics(version)
  metrics.collectProcess()
  const stop = createStop()
  const forget = [obeySignals(surroundings, stop), stopOnFaults(surroundings, stop, log, metrics)]
  try {
    await openAndServe({ config, texts, given, surroundings, log, logs, metrics, stop })
  } finally {
    for (const one of forget) one()
  }
  log.info('Berth has stopped')
  if (stop.isFault()) throw new CommandError('failed', 'an error that nobody caught; the log says where')
}

interface Serving {
  readonly config: Config
  readonly texts: GivenConfig['texts']
  readonly given: Given
  readonly surroundings: Surroundings
  readonly log: Logger
  readonly logs: Logs
  readonly metrics: Metrics
  readonly stop: Stop
}

async function openAndServe(serving: Serving): Promise<void> {
  const { config, surroundings, log } = serving
  // Workers start while the store is opened.
  const pool = countWorkers(config, surroundings) > 1 ? startWorkers(serving) : undefined
  try {
    const store = await openStore(config, log)
    try {
      await serveUntilStopped(serving, store, pool ?? (await answerAlone(serving, store)))
    } finally {
      await store.driver.close()
    }
  } finally {
    pool?.abandon()
  }
}

/** Loaded only here: with workers, this process has nothing to do with HTTP. */
async function answerAlone(serving: Serving, store: Store): Promise<Answering> {
  const { answerHere } = await import('./answering.ts')
  return answerHere({ ...serving, store })
}

function countWorkers({ workers, storage }: Config, { processors }: Surroundings): number {
  if (storage.kind === 'memory') return 1
  return workers.count === 0 ? processors : workers.count
}

function startWorkers({ config, texts, given, surroundings, log, metrics }: Serving): Answering {
  return createWorkerPool({
    ...config.workers,
    count: countWorkers(config, surroundings),
    texts,
    start: (onMessage) => surroundings.startWorker(['worker', ...configArguments(given)], onMessage),
    log,
    metrics,
    sleep: (ms, signal) => sleep(ms, undefined, signal && { signal }),
    monotonicMs: () => performance.now(),
  })
}

async function serveUntilStopped(serving: Serving, store: Store, answering: Answering): Promise<void> {
  const { config, surroundings, log, metrics, stop } = serving
  const pulse = createPulseServer({
    checkReady: async (options) => {
      if (stop.requested.aborted) throw new Error('Berth is stopping')
      if (answering.count() === 0) throw new Error('no worker listens')
      await store.checkReady(options)
    },
    readyTimeoutMs: config.pulse.readyTimeoutMs,
    renderMetrics: async () => renderMerged(metrics, await answering.measure()),
    log,
  })
  try {
    announce(await startListening(config, answering, pulse, store.place), config, surroundings, log)
    const sweeping = keepSweeping({ ...serving, store }, stop.requested)
    await once(stop.requested)
    const stopping = stoppingOf(config, stop)
    const { delayMs, limitMs } = stopping
    log.info('Berth stops: no new connections, running requests may end', { delayMs, limitMs })
    const outcome = await answering.stop(stopping)
    await sweeping
    if (outcome === 'cut') log.warn('requests that were still running were cut')
  } finally {
    answering.abandon()
    pulse.close()
    pulse.closeAllConnections()
  }
}

async function startListening(config: Config, answering: Answering, pulse: Server, data: string): Promise<Started> {
  const port = await answering.listen()
  const pulsePort = config.pulse.enabled ? await listen(pulse, { ...config.pulse, section: 'pulse' }) : undefined
  return {
    version,
    address: config.http.address,
    port,
    data,
    workers: answering.count(),
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
