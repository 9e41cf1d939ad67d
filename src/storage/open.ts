/** Opens the store that the configuration names. */
import type { Driver, KeySpace } from './driver.ts'
import { createFilesystemDriver, type Mount } from './filesystem/driver.ts'
import { createMemoryDriver } from './memory.ts'
import { folderProbe, type StoreProbe } from './probe/step.ts'
import type { S3StoreOptions } from './s3/options.ts'

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
  | ({ readonly kind: 's3' } & S3StoreOptions)

/** What every driver is given. */
export interface StoreContext {
  readonly keySpace: KeySpace
  /** This machine's clock, ms since 1970. */
  readonly now: () => number
  /** Makes random names that never repeat, of characters that keys may have. */
  readonly createId: () => string
  /** Told, in one sentence each, what is not as it should be but can be lived with; absent: it is not asked for. */
  readonly warn?: ((message: string) => void) | undefined
}

/** Opens the store. Rejects with one sentence for the operator when it cannot be used; `checkDriver` tries more. */
export async function openDriver(store: StoreOptions, context: StoreContext): Promise<Driver> {
  switch (store.kind) {
    case 'memory':
      return createMemoryDriver({ ...store, ...context })
    case 'filesystem':
      return createFilesystemDriver({ ...store, ...context })
    case 's3': {
      // Only here: the SDK takes 0.15 to 0.3 s to load.
      const { createS3Driver } = await import('./s3/driver.ts')
      return createS3Driver({ ...store, ...context })
    }
    default:
      return refuseUnknown(store)
  }
}

/** Opens what a probe of such a store tries beside what every driver promises. */
export async function openProbe(store: StoreOptions, context: StoreContext): Promise<StoreProbe> {
  switch (store.kind) {
    case 'memory':
    case 'filesystem':
      return folderProbe
    case 's3': {
      const { openS3Probe } = await import('./s3/probe.ts')
      return openS3Probe({ ...store, ...context })
    }
    default:
      return refuseUnknown(store)
  }
}

/** Does not compile when a kind is missing above. */
function refuseUnknown(store: never): never {
  throw new Error(`unknown kind of store: ${JSON.stringify(store)}`)
}
