/** A worker of `berth serve`: answers requests on the port that all workers share, until its server tells it to stop or it meets a bug. */
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { answerHere } from './answering.ts'
import { CommandError, type Given, type Surroundings } from './command.ts'
import { createLogs } from './logs.ts'
import { openCheckedStore } from './open-store.ts'
import { createStop, once, type Stop, stopOnFaults, stoppingOf } from './stopping.ts'
import { version } from './version.ts'
import { parseOrder, type Report, type Texts } from './worker-messages.ts'

export async function worker(given: Given, surroundings: Surroundings): Promise<void> {
  // Signals are for its server, which tells it.
  const ignoreSignals = surroundings.onStop(() => undefined)
  const metrics = createMetrics(version)
  metrics.collectProcess()
  const stop = createStop()
  const ordered = obeyOrders(surroundings, stop, metrics)
  await report(surroundings, { kind: 'loaded' })
  const texts = await ordered
  if (texts === undefined) await report(surroundings, { kind: 'drained', outcome: 'finished' })
  else {
    const { environment } = surroundings
    const readText = (path: string): string => texts[path] ?? ''
    const { config } = loadConfig({ environment, file: given.options.get('config'), readText })
    await serveOrRefuse({ config, surroundings, metrics, stop })
  }
  ignoreSignals()
}

interface Serving {
  readonly config: Config
  readonly surroundings: Surroundings
  readonly metrics: Metrics
  readonly stop: Stop
}

async function serveOrRefuse(serving: Serving): Promise<void> {
  try {
    await serveUntilStopped(serving)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    // The server says so, once for all its workers.
    await report(serving.surroundings, { kind: 'refused', message: error.message })
  }
}

async function serveUntilStopped({ config, surroundings, metrics, stop }: Serving): Promise<void> {
  const logs = createLogs(config, surroundings)
  const forget = stopOnFaults(surroundings, stop, logs.log, metrics)
  const store = await openCheckedStore(config)
  const answering = answerHere({ config, store, logs, metrics })
  try {
    await report(surroundings, { kind: 'listening', port: await answering.listen() })
    await once(stop.requested)
    if (stop.isFault()) await report(surroundings, { kind: 'faulty' })
    const outcome = await answering.stop(stoppingOf(config, stop))
    await report(surroundings, { kind: 'measured', snapshot: await metrics.snapshot() })
    await report(surroundings, { kind: 'drained', outcome })
  } finally {
    answering.abandon()
    await store.driver.close()
    forget()
  }
}

/** Resolves with the files of the configuration when the worker shall serve, with nothing when it shall end before. */
function obeyOrders(surroundings: Surroundings, stop: Stop, metrics: Metrics): Promise<Texts | undefined> {
  const serve = Promise.withResolvers<Texts | undefined>()
  stop.requested.addEventListener('abort', () => serve.resolve(undefined))
  surroundings.parent.onMessage((message) => {
    const order = parseOrder(message)
    switch (order?.kind) {
      case 'serve':
        return serve.resolve(order.texts)
      case 'measure':
        return void metrics.snapshot().then((snapshot) => report(surroundings, { kind: 'measured', snapshot }))
      case 'stop':
        return stop.request()
      case 'hurry':
        return stop.hurry()
      case undefined:
    }
  })
  return serve.promise
}

function report({ parent }: Surroundings, message: Report): Promise<void> {
  return parent.tell(message)
}
