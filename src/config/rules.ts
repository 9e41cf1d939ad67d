/** What must hold between options. Each rule names the options it compares, so that it is left out when one of them is wrong by itself. */
import type { Config } from './schema.ts'

export interface Rule {
  /** The paths it compares; the first is the one reported. */
  readonly paths: readonly [string, ...string[]]
  /** What is wrong, or `undefined`. */
  readonly check: (config: Config) => string | undefined
}

const anyAddress = new Set(['0.0.0.0', '::'])

export const rules: readonly Rule[] = [
  {
    paths: ['workers.count', 'storage.kind'],
    check: ({ workers, storage }) =>
      storage.kind === 'memory' && workers.count > 1
        ? `found ${workers.count}, expected 0 or 1: a store in memory cannot be shared by processes`
        : undefined,
  },
  {
    paths: ['workers.restart', 'workers.maxRestart'],
    check: ({ workers }) =>
      workers.restartMs > workers.maxRestartMs
        ? `found ${workers.restartMs}ms, expected at most workers.maxRestart, which is ${workers.maxRestartMs}ms`
        : undefined,
  },
  {
    paths: ['http.pageSize', 'http.maxPageSize'],
    check: ({ http }) =>
      http.pageSize > http.maxPageSize
        ? `found ${http.pageSize}, expected at most http.maxPageSize, which is ${http.maxPageSize}`
        : undefined,
  },
  {
    paths: ['http.accelPrefix', 'storage.kind'],
    check: ({ http, storage }) =>
      http.accelPrefix !== '' && storage.kind !== 'filesystem'
        ? `found ${http.accelPrefix}, expected nothing: only a store of the kind filesystem has files that nginx can send`
        : undefined,
  },
  {
    paths: ['pulse.port', 'http.port', 'pulse.address', 'http.address', 'pulse.enabled'],
    check: ({ http, pulse }) => {
      const overlaps = http.address === pulse.address || anyAddress.has(http.address) || anyAddress.has(pulse.address)
      return pulse.enabled && overlaps && pulse.port !== 0 && pulse.port === http.port
        ? `found ${pulse.port}, which is the port of the registry (http.port); expected another`
        : undefined
    },
  },
]
