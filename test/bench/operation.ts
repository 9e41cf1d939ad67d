/** What an operation of the bench is, and what one measurement of it says. */
import type { Server, ServerName } from './servers.ts'

export interface Work {
  /** Requests, pushes, MiB or starts. */
  readonly amount: number
  readonly seconds: number
  readonly p99Ms?: number
  /** Where the server of the run was not what was measured. */
  readonly used?: { readonly cpuSeconds: number; readonly peakBytes: number }
}

export type Unit = 'requests/s' | 'pushes/s' | 'MiB/s' | 'ms'

export interface Operation {
  /** For the figures that are held against it: the same, whatever `--quick` makes smaller. */
  readonly id: string
  /** The table that it is in. */
  readonly group: string
  readonly name: string
  readonly unit: Unit
  readonly servers: readonly ServerName[]
  /** Writes so much that earlier writes are waited for before it, and its own removed after it. */
  readonly isLarge?: true
  /** Done before a quick run, so that Node.js has compiled what it serves: it has on a server that is up for a while. */
  readonly isWarmUp?: boolean
  /** What must be in the stores. */
  readonly needs?: 'lists' | 'referrers'
  readonly measure: (server: Server) => Promise<Work>
}

export interface Sample {
  /** In the unit of the operation. */
  readonly speed: number
  /** Of one request, push or start in seconds; of a GiB where MiB are counted. */
  readonly cpuSeconds: number
  readonly peakBytes: number
  readonly p99Ms: number | undefined
}

export function toSample(unit: Unit, work: Work, used: { cpuSeconds: number; peakBytes: number }): Sample {
  const { amount, seconds, p99Ms } = work
  const { cpuSeconds, peakBytes } = work.used ?? used
  return {
    speed: unit === 'ms' ? (seconds * 1000) / amount : amount / seconds,
    cpuSeconds: (cpuSeconds / amount) * (unit === 'MiB/s' ? 1024 : 1),
    peakBytes,
    p99Ms,
  }
}
