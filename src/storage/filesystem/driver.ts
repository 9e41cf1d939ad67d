/** The driver that keeps everything in a folder, shared by any number of processes. Puts the parts together; each part has its own file. */
import { relative } from 'node:path'
import { checkCalls } from '../checked.ts'
import type { Driver, KeySpace, WriteOptions } from '../driver.ts'
import { createKeyRules } from '../keys.ts'
import { requireBytes, syncAhead } from './ahead.ts'
import { type Ballast, createBallast } from './ballast.ts'
import type { Calls } from './calls.ts'
import { createRecord } from './candidates.ts'
import { stampChildren } from './children.ts'
import { removeEmpty, requireFolder, temporaryGone } from './directories.ts'
import { createDisk, type Disk } from './disk.ts'
import { translateErrors } from './errors.ts'
import { listKeys } from './listing.ts'
import { keepsNameOrder } from './name-order.ts'
import type { Place } from './paths.ts'
import { createEmpty, createPlain, isPlainThere, placeStreamed, removePlain, replacePlain } from './plain.ts'
import { prepareFolder } from './prepare.ts'
import { isRecordThere, publish, removeRecord } from './records.ts'
import { dropTemporary, type Survives, tidyTemporary, writeTemporary } from './temporary.ts'
import { openValue, readValue, statValue } from './values.ts'
import { createWriter } from './writer.ts'

/**
 * What kind of mount the folder is on. `local`: a disk of this machine. `network`: other machines may write it, every call takes a round
 * trip and the time stamps are the server's: everything is durable, nothing is read or changed on the event loop and no listing is kept.
 */
export type Mount = 'local' | 'network'

export interface FilesystemOptions {
  /** The folder; made when missing. Relative to the working directory. */
  readonly root: string
  readonly keySpace: KeySpace
  readonly mount: Mount
  /** The clock of this machine, ms since 1970: the kernel stamps files by it. */
  readonly now: () => number
  /** Makes random names that never repeat, also not in another process; of characters that keys may have. */
  readonly createId: () => string
  /** From 0 to below 1. Default `Math.random`. */
  readonly random?: () => number
  /** Monotonic, ms. Default `performance.now`. */
  readonly elapsed?: () => number
  /** The largest value that `read` takes. Default 16 MiB. */
  readonly maxValueBytes?: number
  /** What the buffers of all transfers may take together. Default 32 MiB. */
  readonly bufferBytes?: number
  /** Kept back so that deleting works on a full disk; 0 for none. Default 16 MiB. */
  readonly ballastBytes?: number
  /** Memory of kept directory listings. Default 64 MiB, some 800,000 tags or 25,000 small directories; used as directories are listed. */
  readonly maxListingBytes?: number
  /** For how many records the name of the newest file is remembered. Default 20,000, some 4 MB; in the background 10,000. */
  readonly maxRemembered?: number
  /** A temporary file or a candidate that has not changed for so long is a leftover of a killed process. Default 1 h. */
  readonly temporaryAgeMs?: number
  /** Whether names become durable in their order (name-order.ts); never on a network mount. Default: what the system says of the folder. */
  readonly keepsNameOrder?: boolean
  /** Whether this process does nothing that anybody waits for: then it keeps no small listings. Default no. */
  readonly isBackground?: boolean
  /** The system calls; for tests. */
  readonly calls?: Calls
}

/** Opens a folder. Rejects with one sentence for the operator when it cannot be used. */
export async function createFilesystemDriver(options: FilesystemOptions): Promise<Driver> {
  const rules = createKeyRules(options.keySpace)
  const fresh = createDisk(options, rules)
  await prepareFolder(fresh, options.keySpace)
  const { mount, keepsNameOrder: known } = options
  const disk = {
    ...fresh,
    keepsNameOrder: mount === 'local' && (known ?? (await keepsNameOrder(fresh.calls, fresh.paths.root))),
  }
  const ballast = createBallast(disk)
  // No room, or read-only: reads work all the same, and the first write says what is wrong.
  await ballast.require().catch(() => undefined)
  return checkCalls(assemble(disk, ballast, options), rules)
}

function assemble(disk: Disk, ballast: Ballast, { mount }: FilesystemOptions): Driver {
  const { placeOf } = disk.paths
  const survivalOf = ({ durable = true }: { readonly durable?: boolean }): Survives =>
    durable || mount === 'network' ? 'power loss' : 'kill'
  return {
    promotion: 'move',
    removal: 'exact',
    // The tree is the tree of the keys, see `paths.ts`.
    pathOf: (key) => relative(disk.paths.root, placeOf(key).path),
    read: (key) => translateErrors(`reading ${key}`, () => readValue(disk, placeOf(key))),
    stat: (key) => translateErrors(`reading ${key}`, () => statValue(disk, placeOf(key))),
    open: (key, range) => translateErrors(`reading ${key}`, () => openValue(disk, placeOf(key), range)),
    write: (key, bytes, options = {}) =>
      translateErrors(`writing ${key}`, async () => {
        const place = placeOf(key)
        // A record may replace a durable value, so it is always durable itself.
        const survives = place.kind === 'record' ? 'power loss' : survivalOf(options)
        const write = () => writeWhole(disk, place, bytes, survives, options)
        if (options.reserve === true) return ballast.lend(write)
        await ballast.require()
        return write()
      }),
    writeStream: (key, options = {}) =>
      translateErrors(`writing ${key}`, async () => {
        await ballast.require()
        return createWriter(disk, key, (path, file) => placeStreamed(disk, path, file, placeOf(key)), options)
      }),
    promote: (entry, record) =>
      translateErrors(`promoting ${entry} to ${record}`, () => promote(disk, placeOf(entry), placeOf(record))),
    remove: (key, options = {}) =>
      translateErrors(`removing ${key}`, () =>
        ballast.lend(() => {
          const place = placeOf(key)
          return place.kind === 'record'
            ? removeRecord(disk, place, options.ifUnchanged, survivalOf(options))
            : removePlain(disk, place, survivalOf(options))
        }),
      ),
    list: (prefix, options) => translateErrors(`listing ${prefix}`, () => listKeys(disk, prefix, options)),
    // The time stamps of a network mount are by another machine's clock: how old they are cannot be told.
    stamp:
      mount === 'network'
        ? undefined
        : (prefix) => translateErrors(`listing ${prefix}`, () => stampChildren(disk, prefix)),
    // What is removed durably is so everywhere there.
    settle: (prefix) =>
      mount === 'network'
        ? Promise.resolve()
        : translateErrors(
            `syncing ${prefix}`,
            async () => void (await disk.syncDirectory(disk.paths.directoryOf(prefix))),
          ),
    tidy: ({ signal } = {}) =>
      translateErrors('tidying', async () => {
        const removed = await tidyTemporary(disk, signal)
        await ballast.require().catch(() => undefined)
        return removed
      }),
    async close() {},
  }
}

async function writeWhole(
  disk: Disk,
  place: Place,
  bytes: Uint8Array,
  survives: Survives,
  { ifAbsent = false, toPromote = false, signal }: WriteOptions,
): Promise<'written' | 'exists'> {
  if (ifAbsent && (await isThere(disk, place, survives))) return 'exists'
  signal?.throwIfAborted()
  // An empty file comes with its name.
  const syncs = bytes.length === 0 && disk.keepsNameOrder ? 'kill' : survives
  const isWholeAtOnce = bytes.length === 0 && syncs === 'kill' && place.kind !== 'record' && !ifAbsent
  if (isWholeAtOnce && (await createEmpty(disk, place, survives)) === 'written') return 'written'
  const path = await writeTemporary(disk, bytes, syncs)
  try {
    signal?.throwIfAborted()
    if (!ifAbsent) {
      await put(disk, path, place, survives)
      if (toPromote) syncAhead(disk, place.path)
      return 'written'
    }
    const result = await create(disk, path, place, survives, signal)
    await dropTemporary(disk, path)
    return result
  } catch (error) {
    await dropTemporary(disk, path)
    throw error
  }
}

function isThere(disk: Disk, place: Place, survives: Survives): Promise<boolean> {
  return place.kind === 'record' ? isRecordThere(disk, place) : isPlainThere(disk, place, survives)
}

async function put(disk: Disk, path: string, place: Place, survives: Survives): Promise<void> {
  if (place.kind !== 'record') return replacePlain(disk, path, place, survives)
  if ((await publish(disk, path, place)) === 'gone') throw temporaryGone(place)
}

function create(disk: Disk, path: string, place: Place, survives: Survives, signal: AbortSignal | undefined) {
  return place.kind === 'record' ? createRecord(disk, path, place, signal) : createPlain(disk, path, place, survives)
}

async function promote(disk: Disk, entry: Place, record: Place): Promise<'done' | 'refused'> {
  // Entries need not survive power loss, which kills their processes too; from here on the bytes are to stay.
  if ((await requireBytes(disk, entry.path)) === 'gone') {
    await requireFolder(disk, entry.top)
    return 'refused'
  }
  if ((await publish(disk, entry.path, record)) === 'gone') return 'refused'
  await removeEmpty(disk, entry)
  return 'done'
}
