/** The format marker: that a store is Berth's, and of a format this version reads. */
import type { Cancel, Driver } from '../storage/driver.ts'
import { formatKey } from './layout.ts'

const format = 1

/** A store that this version must not touch; the message is one sentence for the operator. */
export class FormatError extends Error {
  override readonly name = 'FormatError'
}

function readFormat(bytes: Buffer): unknown {
  try {
    const marker: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof marker === 'object' && marker !== null && 'format' in marker ? marker.format : undefined
  } catch {
    return undefined
  }
}

/**
 * Checks the marker, and writes it into a store that is empty. Throws `FormatError` for a store of another format, or that is neither empty nor
 * Berth's.
 */
export async function openFormat(driver: Driver, where: string, cancel: Cancel = {}): Promise<void> {
  const marker = await driver.read(formatKey, cancel)
  if (marker === undefined) {
    const { entries } = await driver.list('', { ...cancel, limit: 1 })
    const [found] = entries
    // Another process may have begun with this store since we looked.
    if (found !== undefined && (await driver.read(formatKey, cancel)) === undefined) {
      throw new FormatError(
        `${where} is not empty and is not Berth's (it holds ${found.key}): give Berth a place of its own`,
      )
    }
    await driver.write(formatKey, Buffer.from(JSON.stringify({ format })), { ...cancel, ifAbsent: true })
    return openFormat(driver, where, cancel)
  }
  const found = readFormat(marker.bytes)
  if (found !== format) {
    throw new FormatError(
      `${where} has the format ${String(found)}, this version of Berth reads ${format}: use the version that wrote it`,
    )
  }
}
