/** A bucket whose clock can be put forward, for tests in which days pass: all that is written there goes through this driver. */
import type { Driver, ListEntry } from '../../src/storage/driver.ts'

/** `aheadMs` is by how much the clock is ahead of the server's now. What was written before keeps the time it had. */
export function putAhead(driver: Driver, aheadMs: () => number): Driver {
  const ahead = new Map<string, number>()
  const note = (key: string): void => void ahead.set(key, aheadMs())
  const timeOf = (key: string, modified: number): number => modified + (ahead.get(key) ?? 0)
  const shift = (entry: ListEntry): ListEntry =>
    entry.modified === undefined ? entry : { ...entry, modified: timeOf(entry.key, entry.modified) }
  return {
    ...driver,
    async read(key, options) {
      const found = await driver.read(key, options)
      return found && { ...found, modified: timeOf(key, found.modified) }
    },
    async stat(key, options) {
      const found = await driver.stat(key, options)
      return found && { ...found, modified: timeOf(key, found.modified) }
    },
    async write(key, bytes, options) {
      const outcome = await driver.write(key, bytes, options)
      if (outcome === 'written') note(key)
      return outcome
    },
    async writeStream(key, options) {
      const writer = await driver.writeStream(key, options)
      const seal = async (): Promise<void> => {
        await writer.seal()
        note(key)
      }
      return { ...writer, seal }
    },
    async promote(entry, record, options) {
      const outcome = await driver.promote(entry, record, options)
      if (outcome === 'done') note(record)
      return outcome
    },
    async list(prefix, options) {
      const listing = await driver.list(prefix, options)
      return { ...listing, entries: listing.entries.map(shift), now: listing.now + aheadMs() }
    },
  }
}
