/** Opens the configured store and makes sure that it is Berth's and keeps its promises; what can go wrong is one sentence. */
import { randomUUID } from 'node:crypto'
import type { Config } from '../config/schema.ts'
import { openFormat } from '../registry/format.ts'
import { formatKey, keySpace, scratchPrefix } from '../registry/layout.ts'
import { checkDriver } from '../storage/check.ts'
import { type Cancel, type Driver, StorageError } from '../storage/driver.ts'
import { openDriver, type StoreContext } from '../storage/open.ts'
import type { Logger } from '../telemetry/logger.ts'
import { CommandError } from './command.ts'
import { describePlace, readStoreOptions } from './store-options.ts'

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
  // Of processes in the background there are several, and an operator wants to hear it once.
  const warn = isBackground
    ? undefined
    : (reason: string) => log.warn('the store is not set up as it should be', { reason })
  return open(config.storage, { isBackground, warn }, async (driver, place) => {
    await openFormat(driver, place)
    await checkPromises(driver, log)
  })
}

/** Opens a store that `openStore` of another process has opened and checked. Throws CommandError when it cannot be used. */
export function openCheckedStore(config: Config): Promise<Store> {
  return open(config.storage, { isBackground: false }, (driver, place) => checkReady(driver, place, {}))
}

async function open(
  storage: Config['storage'],
  { isBackground, warn }: { readonly isBackground: boolean; readonly warn?: StoreContext['warn'] },
  check: (driver: Driver, place: string) => Promise<void>,
): Promise<Store> {
  const options = await readStoreOptions(storage, isBackground)
  const place = describePlace(options)
  try {
    const driver = await openDriver(options, { keySpace, now: Date.now, createId: randomUUID, warn })
    await check(driver, place)
    return { driver, place, checkReady: (cancel) => checkReady(driver, place, cancel) }
  } catch (error) {
    // Each of these functions promises one sentence for the operator.
    const message = error instanceof Error ? error.message : String(error)
    throw new CommandError('cannotStart', message, { cause: error })
  }
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

/** Only reads: a folder whose mount is gone, or another bucket of that name, must not be taken for a new store. */
async function checkReady(driver: Driver, place: string, cancel: Cancel): Promise<void> {
  if ((await driver.read(formatKey, cancel)) === undefined) {
    throw new Error(`${place} is empty: is it still the one that was opened, and mounted?`)
  }
}
