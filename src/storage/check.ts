/** The start-up check of a store: whether it keeps the promises that everything else is built on. */
import { type Driver, type KeySpace, StorageError } from './driver.ts'

export interface CheckOptions {
  readonly keySpace: KeySpace
  /** The plain prefix where the check may write. */
  readonly scratchPrefix: string
  /** Makes random names that never repeat. */
  readonly createId: () => string
}

/**
 * Writes, reads, lists and removes one small key, and tries what a weak store gets wrong. Throws an Error with one sentence for the operator;
 * a StorageError when the store refused or did not answer.
 */
export async function checkDriver(driver: Driver, options: CheckOptions): Promise<void> {
  const key = `${options.scratchPrefix}${options.createId()}`
  const value = Buffer.from(key)
  try {
    await driver.write(key, value)
    const read = await driver.read(key)
    if (read === undefined || !read.bytes.equals(value))
      throw new Error('the store does not return what was just written to it')
    await checkConditionalWrite(driver, key)
    await checkList(driver, options.scratchPrefix, key)
    await checkPromote(driver, options)
    if ((await driver.remove(key)) !== 'removed')
      throw new Error('the store does not find the key that it was to remove')
    if ((await driver.stat(key)) !== undefined) throw new Error('the store still shows a key that was just removed')
  } catch (error) {
    // What went wrong is the news; what is left in the scratch prefix harms nobody.
    await driver.remove(key).catch(() => undefined)
    if (!(error instanceof StorageError)) throw error
    throw new StorageError(error.reason, `the store cannot be used: ${error.message}`, { cause: error })
  }
}

async function checkConditionalWrite(driver: Driver, key: string): Promise<void> {
  if ((await driver.write(key, Buffer.from('another'), { ifAbsent: true })) !== 'exists') {
    throw new Error(
      'the store ignores "only if absent" and overwrites; it cannot keep a registry: use one that is atomic, docs/storage.md names some',
    )
  }
}

async function checkList(driver: Driver, prefix: string, key: string): Promise<void> {
  const { entries } = await driver.list(prefix, { after: key.slice(0, -1), limit: 1 })
  if (entries[0]?.key !== key) throw new Error('the store does not list a key that was just written')
}

/** The key of a record that is not there, if there are records. */
export function absentRecord(keySpace: KeySpace, createId: () => string): string | undefined {
  const [records] = keySpace.records
  if (records === undefined) return undefined
  const missing = records.depth - (records.prefix.split('/').length - 1)
  return `${records.prefix}${Array.from({ length: missing }, () => createId()).join('/')}`
}

async function checkPromote(driver: Driver, { keySpace, scratchPrefix, createId }: CheckOptions): Promise<void> {
  const record = absentRecord(keySpace, createId)
  if (record === undefined) return
  // Nothing is there to be promoted, so nothing appears under this record.
  if ((await driver.promote(`${scratchPrefix}${createId()}`, record)) !== 'refused') {
    throw new Error('the store promotes an entry that is not there; it cannot keep a registry')
  }
}
