/** Every system call of the folder driver, behind one seam: tests record, delay and fail them. It knows no key. */
import * as fs from 'node:fs'
import { promisify } from 'node:util'
import { isMissing } from './errors.ts'

/** What the driver asks the operating system. All reject with Node's system errors. */
export interface Calls {
  readonly openRead: (path: string) => Promise<number>
  readonly close: (file: number) => Promise<void>
  readonly stat: (path: string) => Promise<fs.Stats>
  /** Whether anything is at a path. */
  readonly isThere: (path: string) => Promise<boolean>
  readonly statFile: (file: number) => Promise<fs.Stats>
  /** Fills a buffer from the start of a file that is a small value; returns the bytes read. */
  readonly readValue: (file: number, into: Buffer) => Promise<number>
  /** The names in a directory that is small by design. */
  readonly readNames: (path: string) => Promise<string[]>
  /** The entries of a directory whose own size (`stat`) is `directoryBytes`. */
  readonly readEntries: (path: string, directoryBytes: number) => Promise<fs.Dirent[]>
  /** One read of a big file; returns the bytes read. */
  readonly read: (file: number, into: Buffer, position: number) => Promise<number>

  /** Creates a file that must not exist yet and opens it for writing. */
  readonly create: (path: string) => Promise<number>
  /** One gathered write; returns the bytes written, which may be fewer. */
  readonly write: (file: number, chunks: readonly Uint8Array[], position: number) => Promise<number>
  readonly syncData: (file: number) => Promise<void>
  readonly sync: (file: number) => Promise<void>
  readonly rename: (from: string, to: string) => Promise<void>
  readonly link: (from: string, to: string) => Promise<void>
  readonly unlink: (path: string) => Promise<void>
  readonly mkdir: (path: string) => Promise<void>
  readonly rmdir: (path: string) => Promise<void>
  /** Bytes that an ordinary user can still write on the file system of a path. */
  readonly freeBytes: (path: string) => Promise<number>
}

/**
 * So much is read on the event loop: 18 µs from the page cache, where the thread pool takes 90 µs. Of the bytes of blobs, too: a small blob costs one
 * look at the disk when it is cold, as a record does.
 */
const readNowBytes = 64 * 1024

/** A directory of this size has some hundred entries: read on the event loop, too. */
const listNowBytes = 16 * 1024

/** A file of this size is written, and removed, on the event loop. */
const changeNowBytes = 16 * 1024

/**
 * The mean of some sixteen changes on the event loop, in ms, from which on they are too slow for it: one of 20 was held up by a journal that is being
 * written, nine of 3 by a disk that is busy or far away. Of 220,000 without other load none took more than 11, and the median 0.02.
 */
const maxMeanMs = 1.25
const meanOf = 16

/** They are for the thread pool for at least so long then, in ms, and until one there took no longer than `promptMs`: a disk that hangs holds up one change. */
const calmAfterMs = 1000
const promptMs = 20

const openAsync = promisify(fs.open)
const readAsync = promisify(fs.read)
const writevAsync = promisify(fs.writev)
const mkdirAsync: (path: string) => Promise<void> = promisify(fs.mkdir)
const rmdirAsync: (path: string) => Promise<void> = promisify(fs.rmdir)
const statfsAsync = promisify(fs.statfs)

/** The calls for a network mount: every call may take a round trip, so all go through the thread pool. */
export function createNetworkCalls(): Calls {
  return {
    openRead: (path) => openAsync(path, 'r'),
    close: promisify(fs.close),
    stat: fs.promises.stat,
    isThere: async (path) => {
      try {
        await fs.promises.stat(path)
        return true
      } catch (error) {
        if (isMissing(error)) return false
        throw error
      }
    },
    statFile: promisify(fs.fstat),
    readValue: async (file, into) => (await readAsync(file, into, 0, into.length, 0)).bytesRead,
    readNames: (path) => fs.promises.readdir(path),
    readEntries: (path) => fs.promises.readdir(path, { withFileTypes: true }),
    read: async (file, into, position) => (await readAsync(file, into, 0, into.length, position)).bytesRead,
    create: (path) => openAsync(path, 'wx'),
    write: async (file, chunks, position) => (await writevAsync(file, chunks, position)).bytesWritten,
    syncData: promisify(fs.fdatasync),
    sync: promisify(fs.fsync),
    rename: promisify(fs.rename),
    link: promisify(fs.link),
    unlink: promisify(fs.unlink),
    mkdir: mkdirAsync,
    rmdir: rmdirAsync,
    async freeBytes(path) {
      const { bavail, bsize } = await statfsAsync(path)
      return bavail * bsize
    },
  }
}

/** What only looks, on a local disk: it is answered from the kernel's caches, on the event loop, which is five times faster than the thread pool. */
function createLookingCalls(pooled: Calls): Calls {
  return {
    ...pooled,
    openRead: async (path) => fs.openSync(path, 'r'),
    close: async (file) => fs.closeSync(file),
    stat: async (path) => fs.statSync(path),
    // Without an error: making one with its stack takes longer than the look.
    isThere: async (path) => fs.statSync(path, { throwIfNoEntry: false }) !== undefined,
    statFile: async (file) => fs.fstatSync(file),
    readValue: async (file, into) =>
      into.length > readNowBytes ? pooled.readValue(file, into) : fs.readSync(file, into, 0, into.length, 0),
    read: async (file, into, position) =>
      into.length > readNowBytes
        ? pooled.read(file, into, position)
        : fs.readSync(file, into, 0, into.length, position),
    readNames: async (path) => fs.readdirSync(path),
    readEntries: async (path, directoryBytes) =>
      directoryBytes > listNowBytes
        ? pooled.readEntries(path, directoryBytes)
        : fs.readdirSync(path, { withFileTypes: true }),
  }
}

/**
 * The calls for a local disk. What changes the tree, or few bytes, is done in the kernel's caches in 10 to 40 µs, while asking a thread to do it takes the event loop alone 50; so
 * it is done on the event loop, too, until the disk holds one up. Syncs and large writes are for the thread pool (decision 22).
 */
export function createLocalCalls(elapsedMs: () => number = () => performance.now()): Calls {
  const pooled = createNetworkCalls()
  const whenCalm = createCalm(elapsedMs)
  const writeFew = whenCalm<Parameters<Calls['write']>, number>(fs.writevSync, pooled.write)
  return {
    ...createLookingCalls(pooled),
    create: whenCalm((path) => fs.openSync(path, 'wx'), pooled.create),
    write: (file, chunks, position) =>
      bytesOf(chunks) > changeNowBytes ? pooled.write(file, chunks, position) : writeFew(file, chunks, position),
    rename: whenCalm(fs.renameSync, pooled.rename),
    link: whenCalm(fs.linkSync, pooled.link),
    // The blocks of a large file are given back one by one.
    unlink: whenCalm(
      (path) => (fs.lstatSync(path).size > changeNowBytes ? pooled.unlink(path) : fs.unlinkSync(path)),
      pooled.unlink,
    ),
    mkdir: whenCalm((path) => fs.mkdirSync(path), pooled.mkdir),
    rmdir: whenCalm((path) => fs.rmdirSync(path), pooled.rmdir),
  }
}

function bytesOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0)
}

/** Does changes on the event loop, as long as they are done in no time there; else in the thread pool. */
function createCalm(elapsedMs: () => number) {
  let isCalm = true
  let meanMs = 0
  let calmFromMs = 0

  function addTime(takenMs: number): void {
    meanMs += (takenMs - meanMs) / meanOf
    if (meanMs < maxMeanMs) return
    isCalm = false
    meanMs = 0
    calmFromMs = elapsedMs() + calmAfterMs
  }

  function addPooledTime(takenMs: number): void {
    if (takenMs <= promptMs && elapsedMs() >= calmFromMs) isCalm = true
  }

  function makeNow<Result>(call: () => Result): Result {
    const startMs = elapsedMs()
    try {
      return call()
    } finally {
      addTime(elapsedMs() - startMs)
    }
  }

  async function makePooled<Result>(call: () => Promise<Result>): Promise<Result> {
    const startMs = elapsedMs()
    try {
      return await call()
    } finally {
      addPooledTime(elapsedMs() - startMs)
    }
  }

  return <Given extends readonly unknown[], Result>(
    now: (...given: Given) => Result | Promise<Result>,
    pooled: (...given: Given) => Promise<Result>,
  ) =>
    async (...given: Given): Promise<Result> =>
      isCalm ? makeNow(() => now(...given)) : makePooled(() => pooled(...given))
}

/**
 * The calls for a process beside a server, on a local disk: nobody waits for its event loop, so what is done in less time than the thread pool takes to
 * be asked is done there. Removals take the file system longer, and go on beside it.
 */
export function createBackgroundCalls(): Calls {
  return {
    ...createLookingCalls(createNetworkCalls()),
    create: async (path) => fs.openSync(path, 'wx'),
    rename: async (from, to) => fs.renameSync(from, to),
    link: async (from, to) => fs.linkSync(from, to),
    mkdir: async (path) => fs.mkdirSync(path),
  }
}
