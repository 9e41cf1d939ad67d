/** The refusals that every driver makes alike, before it does anything: aborted calls, malformed keys, calls a key is not made for. */
import type { Driver } from './driver.ts'
import type { KeyRules } from './keys.ts'

function checkPathOf(pathOf: (key: string) => string, rules: KeyRules): (key: string) => string {
  return (key) => {
    if (rules.check(key).kind !== 'plain') throw new Error(`only a plain key is one file, not ${key}`)
    return pathOf(key)
  }
}

function checkSignUrl(signUrl: NonNullable<Driver['signUrl']>, rules: KeyRules): Driver['signUrl'] {
  return async (key, options) => {
    options?.signal?.throwIfAborted()
    if (rules.check(key).kind !== 'plain') throw new Error(`only a plain key has a URL, not ${key}`)
    return signUrl(key, options)
  }
}

function checkStamp(stamp: NonNullable<Driver['stamp']>, rules: KeyRules): Driver['stamp'] {
  return async (prefix, options) => {
    options?.signal?.throwIfAborted()
    rules.checkPrefix(prefix)
    return stamp(prefix, options)
  }
}

function checkUpkeep(driver: Driver, rules: KeyRules): Pick<Driver, 'settle' | 'tidy' | 'close'> {
  return {
    async settle(prefix, options) {
      options?.signal?.throwIfAborted()
      rules.checkPrefix(prefix)
      return driver.settle(prefix, options)
    },
    async tidy(options) {
      options?.signal?.throwIfAborted()
      return driver.tidy(options)
    },
    close: () => driver.close(),
  }
}

/** Wraps a driver so that only calls which keep the rules of `Driver` reach it. */
export function checkCalls(driver: Driver, rules: KeyRules): Driver {
  return {
    promotion: driver.promotion,
    removal: driver.removal,
    pathOf: driver.pathOf && checkPathOf(driver.pathOf, rules),
    signUrl: driver.signUrl && checkSignUrl(driver.signUrl, rules),
    async read(key, options) {
      options?.signal?.throwIfAborted()
      rules.check(key)
      return driver.read(key, options)
    },
    async stat(key, options) {
      options?.signal?.throwIfAborted()
      rules.check(key)
      return driver.stat(key, options)
    },
    async open(key, range, options) {
      options?.signal?.throwIfAborted()
      rules.check(key)
      return driver.open(key, range, options)
    },
    async write(key, bytes, options) {
      options?.signal?.throwIfAborted()
      rules.check(key)
      return driver.write(key, bytes, options)
    },
    async writeStream(key, options) {
      options?.signal?.throwIfAborted()
      if (rules.check(key).kind !== 'plain') throw new Error(`only a plain key can be streamed to, not ${key}`)
      return driver.writeStream(key, options)
    },
    async promote(entry, record, options) {
      options?.signal?.throwIfAborted()
      if (rules.check(entry).kind !== 'plain') throw new Error(`only a plain key can be promoted, not ${entry}`)
      if (rules.check(record).kind !== 'record') throw new Error(`only a record can be promoted to, not ${record}`)
      return driver.promote(entry, record, options)
    },
    async remove(key, options) {
      options?.signal?.throwIfAborted()
      const { kind } = rules.check(key)
      if (kind === 'single') throw new Error(`${key} is never removed`)
      if (kind === 'plain' && options?.ifUnchanged !== undefined) {
        throw new Error(`only a record is removed if unchanged, not ${key}`)
      }
      return driver.remove(key, options)
    },
    async list(prefix, options) {
      options.signal?.throwIfAborted()
      if (prefix !== '') rules.checkPrefix(prefix)
      if (!(options.limit >= 1)) throw new Error('a list needs a limit of at least 1')
      return driver.list(prefix, options)
    },
    stamp: driver.stamp && checkStamp(driver.stamp, rules),
    ...checkUpkeep(driver, rules),
  }
}

/** Refuses a range that does not lie within `size` bytes. */
export function checkRange(key: string, { start, end }: { start: number; end: number }, size: number): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= size) return
  throw new Error(`the range from ${start} to ${end} lies outside of ${key} with its ${size} bytes`)
}
