/** Answers requests in this process: the registry behind HTTP as the configuration has it, from listening to the end of its last handler. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApp } from '../app.ts'
import { allowAll } from '../auth/policy.ts'
import type { Config } from '../config/schema.ts'
import { createLocalRegistry } from '../registry/local.ts'
import type { Snapshot } from '../telemetry/merged-metrics.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { configureMeteredRegistry } from './configured.ts'
import { type Drained, listen, stopListening } from './listen.ts'
import type { Logs } from './logs.ts'
import type { Store } from './open-store.ts'

/** How long handlers may go on after their connections are gone: one sync of a disk that is busy. */
export const settleMs = 2000

/** How to stop. */
export interface Stopping {
  /** How long new requests are still taken. */
  readonly delayMs: number
  /** How long those that run then may go on. */
  readonly limitMs: number
  /** Aborted when somebody will not wait. */
  readonly hurry: AbortSignal
}

/** Whoever answers the requests of a server: its own process, or workers. */
export interface Answering {
  /** Returns the port; throws CommandError when that is impossible. Once, and with a store that has been opened. */
  readonly listen: () => Promise<number>
  /** How many processes listen now. */
  readonly count: () => number
  /** Resolves when no request is handled any more. */
  readonly stop: (stopping: Stopping) => Promise<Drained>
  /** What other processes than this one have counted. */
  readonly measure: () => Promise<readonly Snapshot[]>
  /** Ends everything at once; does nothing after `stop`. */
  readonly abandon: () => void
}

export interface AnsweringHere {
  readonly config: Config
  readonly store: Store
  readonly logs: Logs
  readonly metrics: Metrics
}

export function answerHere({ config, store, logs, metrics }: AnsweringHere): Answering {
  const app = createApp({
    registry: createLocalRegistry(configureMeteredRegistry(config, store, metrics)),
    authoriser: allowAll(),
    limits: { ...config.http, ...config.limits },
    accelPrefix: config.http.accelPrefix || undefined,
    redirectNetworks: config.storage.s3.redirectNetworks,
    log: logs.log,
    accessLog: logs.accessLog,
    metrics,
    createId: randomUUID,
    monotonicMs: () => performance.now(),
  })
  return {
    listen: () => listen(app, { ...config.http, section: 'http' }),
    count: () => (app.listening ? 1 : 0),
    stop: async ({ delayMs, limitMs, hurry }) => {
      app.askToLeave()
      await sleep(delayMs, undefined, { signal: hurry }).catch(() => undefined)
      const outcome = await stopListening(app, { limitMs, hurry })
      // A handler whose connection was cut seals what came and writes its line.
      await Promise.race([app.settled(), sleep(settleMs, undefined, { ref: false })])
      logs.flush()
      return outcome
    },
    measure: () => Promise.resolve([]),
    abandon: () => {
      app.close()
      app.closeAllConnections()
      logs.flush()
    },
  }
}
