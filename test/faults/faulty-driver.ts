/** A driver one of whose calls goes wrong: it fails, its answer is lost, or the process dies before it and never calls again. */
import { type Driver, StorageError } from '../../src/storage/driver.ts'

/** Calls are counted from 0. `loses the answer`: the call has its effect and fails all the same. */
export interface Fault {
  readonly at: number
  readonly how: 'fails' | 'loses the answer' | 'dies'
}

export const faultKinds = ['fails', 'loses the answer', 'dies'] as const

export interface FaultyDriver {
  readonly driver: Driver
  /** Resolves when the process has died: what it was doing never ends. */
  readonly death: Promise<'died'>
  /** The call that went wrong. */
  readonly struck: () => string | undefined
}

export function createFaultyDriver(store: Driver, { at, how }: Fault): FaultyDriver {
  let count = 0
  let struck: string | undefined
  let die: (value: 'died') => void = () => undefined
  const death = new Promise<'died'>((resolve) => {
    die = resolve
  })
  const fail = (what: string): StorageError => new StorageError('unavailable', `injected: ${what}`)

  async function call<T>(method: string, key: string, run: () => Promise<T>): Promise<T> {
    const index = count++
    if (index < at || (index > at && how !== 'dies')) return run()
    struck ??= `${method} ${key}`
    if (how === 'dies') {
      die('died')
      return new Promise<T>(() => undefined)
    }
    if (how === 'loses the answer') await run()
    throw fail(struck)
  }

  const driver: Driver = {
    promotion: store.promotion,
    removal: store.removal,
    read: (key, options) => call('read', key, () => store.read(key, options)),
    stat: (key, options) => call('stat', key, () => store.stat(key, options)),
    open: (key, range, options) => call('open', key, () => store.open(key, range, options)),
    write: (key, bytes, options) => call('write', key, () => store.write(key, bytes, options)),
    async writeStream(key, options) {
      const writer = await call('writeStream', key, () => store.writeStream(key, options))
      return {
        write: (chunk) => writer.write(chunk),
        discard: () => writer.discard(),
        async seal() {
          try {
            await call('seal', key, () => writer.seal())
          } catch (error) {
            // A real driver lets go of what it could not seal; one that has sealed it ignores this.
            await writer.discard().catch(() => undefined)
            throw error
          }
        },
      }
    },
    promote: (entry, record, options) => call('promote', record, () => store.promote(entry, record, options)),
    remove: (key, options) => call('remove', key, () => store.remove(key, options)),
    list: (prefix, options) => call('list', prefix, () => store.list(prefix, options)),
    settle: (prefix, options) => call('settle', prefix, () => store.settle(prefix, options)),
    tidy: (options) => call('tidy', '', () => store.tidy(options)),
    close: () => store.close(),
  }
  return { driver, death, struck: () => struck }
}
