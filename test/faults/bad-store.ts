/** Drivers on which some calls fail for good, or any call now and then, and hands to look at what is left. */
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import type { Random } from '../replicas/random.ts'
import type { World } from './world.ts'

export type Method = 'read' | 'open' | 'stat' | 'write' | 'remove' | 'list' | 'promote'

/** Every call goes through `before`, which may throw, and through `after` when it was done. */
function wrap(
  store: Driver,
  before: (method: Method, key: string) => Promise<void> | void,
  after: (method: Method, key: string) => void = () => undefined,
): Driver {
  async function call<T>(method: Method, key: string, run: () => Promise<T>): Promise<T> {
    await before(method, key)
    const result = await run()
    after(method, key)
    return result
  }
  return {
    ...store,
    read: (key, options) => call('read', key, () => store.read(key, options)),
    open: (key, range, options) => call('open', key, () => store.open(key, range, options)),
    stat: (key, options) => call('stat', key, () => store.stat(key, options)),
    write: (key, bytes, options) => call('write', key, () => store.write(key, bytes, options)),
    remove: (key, options) => call('remove', key, () => store.remove(key, options)),
    list: (prefix, options) => call('list', prefix, () => store.list(prefix, options)),
    promote: (entry, record, options) => call('promote', record, () => store.promote(entry, record, options)),
  }
}

function fail(method: Method, key: string): never {
  throw new StorageError('unavailable', `injected: ${method} ${key}`)
}

/** Does what it is told before each call. */
export function withHook(store: Driver, hook: (method: Method, key: string) => Promise<void> | void): Driver {
  return wrap(store, hook)
}

/** These methods fail for these keys, for good. */
export function withBadKeys(store: Driver, methods: readonly Method[], isBad: (key: string) => boolean): Driver {
  return wrap(store, (method, key) => {
    if (methods.includes(method) && isBad(key)) fail(method, key)
  })
}

/** Any call fails with this likelihood, before or after it has its effect, and takes its time. */
export function createFlakyDriver(store: Driver, random: Random, likelihood: number): Driver {
  const isStruck = (): boolean => random.below(1_000_000) < likelihood * 500_000
  return wrap(
    store,
    async (method, key) => {
      for (let turns = random.below(4); turns > 0; turns--) await new Promise<void>((resolve) => setImmediate(resolve))
      if (isStruck()) fail(method, key)
    },
    (method, key) => {
      if (isStruck()) fail(method, key)
    },
  )
}

export async function keysOf({ driver }: World, prefix = ''): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of listAll(driver, prefix)) keys.push(key)
  return keys
}
