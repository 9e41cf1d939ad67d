/**
 * When the next scheduled scrub is due, and where an interrupted one goes on: one small record in the store, so that restarts and replicas count as one. No
 * lock: when two start in the same moment one steps back, and two at once would only read twice.
 */
import type { Cancel, Driver } from '../../storage/driver.ts'
import { scrubKey } from '../layout.ts'

export interface ScrubTimes {
  /** From the end of one scrub to the start of the next, in ms. */
  readonly intervalMs: number
  /** A run that has not noted its position for so long is over, in ms. */
  readonly silenceMs: number
}

/** What the record says of the last run; without a position it has ended. */
interface LastRun {
  readonly by: string
  readonly position?: string
}

function parseLastRun(bytes: Buffer): LastRun | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    if (typeof value !== 'object' || value === null || !('by' in value) || typeof value.by !== 'string')
      return undefined
    const position = 'position' in value && typeof value.position === 'string' ? { position: value.position } : {}
    return { by: value.by, ...position }
  } catch {
    // Damaged: as if none had ever run.
    return undefined
  }
}

/** Where to start, when a scrub is due: `from` is absent for a new one. Ages are by the store's clock. */
export async function findDueScrub(
  driver: Driver,
  { intervalMs, silenceMs }: ScrubTimes,
  cancel: Cancel,
): Promise<{ readonly from?: string } | undefined> {
  const stored = await driver.read(scrubKey, cancel)
  const last = stored && parseLastRun(stored.bytes)
  if (stored === undefined || last === undefined) return {}
  const { now } = await driver.list('scratch/', { ...cancel, limit: 1 })
  const age = now - stored.modified
  if (last.position === undefined) return age >= intervalMs ? {} : undefined
  return age >= silenceMs ? { from: last.position } : undefined
}

/** Notes where a run is, so that others leave it alone and a later one goes on there. */
export async function notePosition(driver: Driver, by: string, position: string, cancel: Cancel): Promise<void> {
  await driver.write(scrubKey, Buffer.from(JSON.stringify({ by, position })), { ...cancel, durable: false })
}

/** Notes that a run has ended. */
export async function noteEnd(driver: Driver, by: string, cancel: Cancel): Promise<void> {
  await driver.write(scrubKey, Buffer.from(JSON.stringify({ by })), cancel)
}

/** Whether the run that noted its position last is this one. */
export async function isRunning(driver: Driver, by: string, cancel: Cancel): Promise<boolean> {
  const stored = await driver.read(scrubKey, cancel)
  return stored !== undefined && parseLastRun(stored.bytes)?.by === by
}
