/** The options of the section `workers`. */
import { duration, number, section } from './option.ts'

export const workers = section(
  'The processes that answer requests, all on one port. Each is a replica of the others: limits of the registry count for each of them.',
  {
    count: number({
      min: 0,
      max: 1024,
      default: 0,
      reason:
        'How many; 0 takes one for each processor that Berth may use. With 1, or a store in memory, the server answers by itself.',
    }),
    restartMs: duration({
      min: '10ms',
      max: '1m',
      default: '100ms',
      reason: 'How long after its end a worker is replaced; twice as long each time its replacement ends early, too.',
    }),
    maxRestartMs: duration({
      min: '10ms',
      max: '1h',
      default: '30s',
      reason: 'The longest such wait; a worker that has served for so long is replaced after the shortest again.',
    }),
    faultTimeoutMs: duration({
      min: '0s',
      max: '10m',
      default: '5s',
      reason: 'How long running requests may go on in a process that met a bug, before it ends and is replaced.',
    }),
    metricsTimeoutMs: duration({
      min: '10ms',
      max: '1m',
      default: '1s',
      reason: 'How long `/metrics` waits for a worker, then takes the last figures it told: less than a scraper waits.',
    }),
  },
)
