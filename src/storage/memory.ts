/** The driver that keeps everything in the memory of one process: for tests and throw-away servers. */
import type { Writable } from 'node:stream'
import {
  type ByteRange,
  type ByteWriter,
  type Cancel,
  type Driver,
  type KeySpace,
  type ListEntry,
  type Listing,
  type ListOptions,
  type ObjectStat,
  type OpenBytes,
  StorageError,
} from './driver.ts'
import { checkCalls, checkRange } from './checked.ts'
import { createKeyRules, lastSkipped } from './keys.ts'
import { withTarget } from './target.ts'

export interface MemoryOptions {
  readonly keySpace: KeySpace
  /** The clock of the store, ms since 1970. */
  readonly now: () => number
  /** Makes versions; must never repeat. */
  readonly createId: () => string
  /** The most bytes of all keys and values together; beyond it writes fail as `full`. Default: no limit. */
  readonly maxBytes?: number
  /** Kept back beyond `maxBytes` for writes that ask for the reserve. Default 64 KiB. */
  readonly reserveBytes?: number
  /** The largest value that `read` takes. Default 16 MiB. */
  readonly maxValueBytes?: number
}

interface Item {
  readonly bytes: Buffer
  readonly modified: number
  readonly version: string
}

/** How much is handed to a target at a time: as in the folder driver. */
const copyBytes = 1024 * 1024

/** Creates an empty store. It is gone when the driver is. */
export function createMemoryDriver(options: MemoryOptions): Driver {
  const { keySpace, now, maxValueBytes = 16 * 1024 * 1024 } = options
  const items = createItems(options)
  const driver: Driver = {
    promotion: 'move',
    removal: 'exact',
    async read(key) {
      const item = items.get(key)
      if (item === undefined) return undefined
      const { length } = item.bytes
      if (length > maxValueBytes)
        throw new Error(`${key} has ${length} bytes, more than the ${maxValueBytes} of a value`)
      // A copy: what a caller does to it must not reach the store.
      return { ...statItem(item), bytes: Buffer.from(item.bytes) }
    },
    async stat(key) {
      const item = items.get(key)
      return item && statItem(item)
    },
    async open(key, range) {
      const item = items.get(key)
      return item && openItem(key, item.bytes, range)
    },
    async write(key, bytes, { ifAbsent, reserve } = {}) {
      if (ifAbsent === true && items.get(key) !== undefined) return 'exists'
      items.put(key, Buffer.from(bytes), reserve === true ? 'reserve' : 'ordinary')
      return 'written'
    },
    async writeStream(key, cancel = {}) {
      return createWriter(items, key, cancel)
    },
    async promote(entry, record) {
      const item = items.get(entry)
      if (item === undefined) return 'refused'
      items.delete(entry)
      items.put(record, item.bytes, 'reserve') // it only moves: no room is needed
      return 'done'
    },
    async remove(key, { ifUnchanged } = {}) {
      const item = items.get(key)
      if (item === undefined) return 'absent'
      if (ifUnchanged !== undefined && item.version !== ifUnchanged) return 'changed'
      items.delete(key)
      return 'removed'
    },
    list: async (prefix, listOptions) => listItems(items, prefix, listOptions, now()),
    settle: () => Promise.resolve(),
    tidy: async () => 0,
    async close() {},
  }
  return checkCalls(driver, createKeyRules(keySpace))
}

function statItem({ bytes, modified, version }: Item): ObjectStat {
  return { size: bytes.length, modified, version }
}

interface Items {
  get(key: string): Item | undefined
  put(key: string, bytes: Buffer, room: 'ordinary' | 'reserve'): void
  /** Takes room for bytes that are still arriving; `full` when there is none. */
  hold(bytes: number): void
  /** Gives back room that was held. */
  release(bytes: number): void
  delete(key: string): void
  /** All keys in byte order (keys are ASCII, so the order of strings is the order of bytes). */
  readonly keys: readonly string[]
}

/** An empty value takes room too: for its key. */
function sizeOf(key: string, item: Pick<Item, 'bytes'> | undefined): number {
  return item === undefined ? 0 : key.length + item.bytes.length
}

function createItems({ now, createId, maxBytes = Infinity, reserveBytes = 64 * 1024 }: MemoryOptions): Items {
  const items = new Map<string, Item>()
  const keys: string[] = []
  let used = 0
  return {
    keys,
    get: (key) => items.get(key),
    put(key, bytes, room) {
      const old = items.get(key)
      const after = used - sizeOf(key, old) + sizeOf(key, { bytes })
      if (after > maxBytes + (room === 'reserve' ? reserveBytes : 0)) {
        throw new StorageError('full', `the memory store takes at most ${maxBytes} bytes`)
      }
      if (old === undefined) {
        refuseNesting(keys, items, key)
        keys.splice(firstAfter(keys, key), 0, key)
      }
      used = after
      items.set(key, { bytes, modified: now(), version: createId() })
    },
    hold(bytes) {
      if (used + bytes > maxBytes) throw new StorageError('full', `the memory store takes at most ${maxBytes} bytes`)
      used += bytes
    },
    release(bytes) {
      used -= bytes
    },
    delete(key) {
      used -= sizeOf(key, items.get(key))
      if (items.delete(key)) keys.splice(firstAfter(keys, key) - 1, 1)
    },
  }
}

/** A folder cannot have a file and a directory of one name; refusing it here too finds such a caller in every test. */
function refuseNesting(keys: readonly string[], items: ReadonlyMap<string, Item>, key: string): void {
  const below = keys[firstAfter(keys, `${key}/`)]
  if (below?.startsWith(`${key}/`)) throw new Error(`the key ${key} is also a prefix of ${below}`)
  for (let slash = key.indexOf('/'); slash > 0; slash = key.indexOf('/', slash + 1)) {
    if (items.has(key.slice(0, slash))) throw new Error(`the key ${key.slice(0, slash)} is also a prefix of ${key}`)
  }
}

/** The index of the first key that sorts after `key`. */
function firstAfter(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') <= key) low = middle + 1
    else high = middle
  }
  return low
}

function listItems(items: Items, prefix: string, options: ListOptions, answered: number): Listing {
  const { delimiter, limit, times } = options
  const after = lastSkipped(prefix, options.after)
  const entries: ListEntry[] = []
  let index = firstAfter(items.keys, after > prefix ? after : prefix)
  for (;;) {
    const key = items.keys[index]
    if (key === undefined || !key.startsWith(prefix)) break
    if (entries.length === limit) return { entries, more: true, now: answered }
    const slash = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length)
    if (slash >= 0) {
      const folded = key.slice(0, slash + 1)
      entries.push({ key: folded })
      index = firstAfter(items.keys, lastSkipped(prefix, folded))
    } else {
      const item = times === true ? items.get(key) : undefined
      entries.push(item === undefined ? { key } : { key, modified: item.modified, size: item.bytes.length })
      index++
    }
  }
  return { entries, more: false, now: answered }
}

function openItem(key: string, bytes: Buffer, range: ByteRange): OpenBytes {
  checkRange(key, range, bytes.length)
  const { start, end } = range
  return {
    size: end - start,
    async copyTo(target: Writable, options: Cancel = {}) {
      await withTarget(target, options, async (write) => {
        for (let at = start; at < end; at += copyBytes) await write(bytes.subarray(at, Math.min(at + copyBytes, end)))
      })
    },
    async close() {},
  }
}

function createWriter(items: Items, key: string, { signal }: Cancel): ByteWriter {
  let chunks: Uint8Array[] | undefined = []
  let held = 0
  const end = (): Uint8Array[] | undefined => {
    const all = chunks
    items.release(held)
    chunks = undefined
    held = 0
    return all
  }
  return {
    write(chunk) {
      if (signal?.aborted) return Promise.reject(signal.reason)
      if (chunks === undefined) return Promise.reject(new Error('the writer has ended'))
      try {
        items.hold(chunk.length)
      } catch (error) {
        return Promise.reject(error)
      }
      held += chunk.length
      chunks.push(chunk)
      return undefined
    },
    async seal() {
      const all = end()
      if (all === undefined) throw new Error('the writer has ended')
      signal?.throwIfAborted()
      items.put(key, Buffer.concat(all), 'ordinary')
    },
    async discard() {
      end()
    },
  }
}
