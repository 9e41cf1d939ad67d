/** Opens the configured store and makes sure that it is Berth's and keeps its promises; what can go wrong is one sentence. */
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { Config } from '../config/schema.ts'
import { openFormat } from '../registry/format.ts'
import { formatKey, keySpace, scratchPrefix } from '../registry/layout.ts'
import { checkDriver } from '../storage/check.ts'
import { type Cancel, type Driver, StorageError } from '../storage/driver.ts'
import { openDriver, type StoreOptions } from '../storage/open.ts'
import type { Logger } from '../telemetry/logger.ts'
import { CommandError } from './command.ts'

/** A store that is ready for a registry. */
export interface Store {
  readonly driver: Driver
  /** Where data goes, in words. */
  readonly place: string
  /** Rejects when the store does not answer, or is not the one that was opened. */
  readonly checkReady: (options: { readonly signal: AbortSignal }) => Promise<void>
}

/** Opens the store; `isBackground` when nobody waits for what this process does. Throws CommandError when it cannot be used. */
export function openStore(config: Config, log: Logger, { isBackground = false } = {}): Promise<Store> {
  return open(toStoreOptions(config.storage, isBackground), async (driver, place) => {
    await openFormat(driver, place)
    await checkPromises(driver, log)
  })
}

/** Opens a store that `openStore` of another process has opened and checked. Throws CommandError when it cannot be used. */
export function openCheckedStore(config: Config): Promise<Store> {
  return open(toStoreOptions(config.storage), (driver, place) => checkReady(driver, place, {}))
}

async function open(options: StoreOptions, check: (driver: Driver, place: string) => Promise<void>): Promise<Store> {
  const place = options.kind === 'filesystem' ? options.root : 'memory, gone when Berth stops'
  try {
    const driver = await openDriver(options, { keySpace, now: Date.now, createId: randomUUID })
    await check(driver, place)
    return { driver, place, checkReady: (cancel) => checkReady(driver, place, cancel) }
  } catch (error) {
    // Each of these functions promises one sentence for the operator.
    const message = error instanceof Error ? error.message : String(error)
    throw new CommandError('cannotStart', message, { cause: error })
  }
}

function toStoreOptions({ kind, filesystem, memory }: Config['storage'], isBackground = false): StoreOptions {
  if (kind === 'memory') return { kind, maxBytes: memory.maxBytes }
  return { kind, ...filesystem, root: resolve(filesystem.root), isBackground }
}

/** A store that takes no writes now is opened all the same: reads go on, and on a full disk so do deletes, which are the way out. */
async function checkPromises(driver: Driver, log: Logger): Promise<void> {
  try {
    await checkDriver(driver, { keySpace, scratchPrefix, createId: randomUUID })
  } catch (error) {
    if (!(error instanceof StorageError) || error.reason === 'unavailable') throw error
    log.warn('the store takes no writes now; reads go on', { reason: error.reason, error })
  }
}

/** Only reads: a folder whose mount is gone must not be taken for a new store. */
async function checkReady(driver: Driver, place: string, cancel: Cancel): Promise<void> {
  if ((await driver.read(formatKey, cancel)) === undefined) throw new Error(`${place} is empty: is it still mounted?`)
}
