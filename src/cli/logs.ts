/** The logs of a server as the configuration has them. */
import type { Config } from '../config/schema.ts'
import { type AccessLog, createAccessLog } from '../telemetry/access-log.ts'
import { createLineBuffer } from '../telemetry/line-buffer.ts'
import { createLogger, type Logger } from '../telemetry/logger.ts'
import type { Surroundings } from './command.ts'

export interface Logs {
  /** What happens rarely: each line is written at once, behind all that came before it. */
  readonly log: Logger
  /** One line per request; it may wait for others. */
  readonly accessLog: AccessLog
  /** Writes what still waits. */
  readonly flush: () => void
}

function startTimer(run: () => void, ms: number): () => void {
  const timer = setTimeout(run, ms).unref()
  return () => clearTimeout(timer)
}

export function createLogs({ log }: Config, { out, isTerminal }: Surroundings): Logs {
  const automatic = isTerminal ? 'pretty' : 'json'
  const format = log.format === 'auto' ? automatic : log.format
  const buffer = createLineBuffer({
    write: out,
    maxBytes: log.bufferBytes,
    maxWaitMs: log.flushIntervalMs,
    startTimer,
  })
  const options = { level: log.level, format, now: () => new Date() }
  const lines = createLogger({ ...options, write: (line) => buffer.add(line) })
  return {
    log: createLogger({ ...options, write: (line) => buffer.write(line) }),
    accessLog: createAccessLog({ log: lines, sampleRequests: log.sampleRequests, random: Math.random }),
    flush: () => buffer.flush(),
  }
}
