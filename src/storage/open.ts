/** Opens the store that the configuration names. */
import type { Driver, KeySpace } from './driver.ts'
import { createFilesystemDriver, type Mount } from './filesystem/driver.ts'
import { createMemoryDriver } from './memory.ts'

/** Where the bytes are kept. */
export type StoreOptions =
  | { readonly kind: 'memory'; readonly maxBytes?: number }
  | {
      readonly kind: 'filesystem'
      readonly root: string
      readonly mount: Mount
      readonly ballastBytes?: number
      readonly bufferBytes?: number
      readonly isBackground?: boolean
    }

/** What every driver is given. */
export interface StoreContext {
  readonly keySpace: KeySpace
  /** This machine's clock, ms since 1970. */
  readonly now: () => number
  /** Makes random names that never repeat, of characters that keys may have. */
  readonly createId: () => string
}

/** Opens the store. Rejects with one sentence for the operator when it cannot be used; `checkDriver` tries more. */
export async function openDriver(store: StoreOptions, context: StoreContext): Promise<Driver> {
  switch (store.kind) {
    case 'memory':
      return createMemoryDriver({ ...store, ...context })
    case 'filesystem':
      return createFilesystemDriver({ ...store, ...context })
    default:
      return refuseUnknown(store)
  }
}

/** Does not compile when a kind is missing above. */
function refuseUnknown(store: never): never {
  throw new Error(`unknown kind of store: ${JSON.stringify(store)}`)
}
