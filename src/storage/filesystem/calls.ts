/** Every system call of the folder driver, behind one seam: tests record, delay and fail them. It knows no key. */
import * as fs from 'node:fs'
import { promisify } from 'node:util'

/** What the driver asks the operating system. All reject with Node's system errors. */
export interface Calls {
  openRead(path: string): Promise<number>
  close(file: number): Promise<void>
  stat(path: string): Promise<fs.Stats>
  statFile(file: number): Promise<fs.Stats>
  /** Fills a buffer from the start of a file that is a small value; returns the bytes read. */
  readValue(file: number, into: Buffer): Promise<number>
  /** The names in a directory that is small by design. */
  readNames(path: string): Promise<string[]>
  /** The entries of a directory whose own size (`stat`) is `directoryBytes`. */
  readEntries(path: string, directoryBytes: number): Promise<fs.Dirent[]>
  /** One read of a big file; returns the bytes read. */
  read(file: number, into: Buffer, position: number): Promise<number>

  /** Creates a file that must not exist yet and opens it for writing. */
  create(path: string): Promise<number>
  /** One gathered write; returns the bytes written, which may be fewer. */
  write(file: number, chunks: readonly Uint8Array[], position: number): Promise<number>
  syncData(file: number): Promise<void>
  sync(file: number): Promise<void>
  rename(from: string, to: string): Promise<void>
  link(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  mkdir(path: string): Promise<void>
  rmdir(path: string): Promise<void>
  /** Bytes that an ordinary user can still write on the file system of a path. */
  freeBytes(path: string): Promise<number>
}

/**
 * So much is read on the event loop: 18 µs from the page cache, where the thread pool takes 90 µs. Of the bytes of blobs, too: a small blob costs one
 * look at the disk when it is cold, as a record does.
 */
const readNowBytes = 64 * 1024

/** A directory of this size has some hundred entries: read on the event loop, too. */
const listNowBytes = 16 * 1024

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

/**
 * The calls for a local disk: what only looks is answered from the kernel's caches and is made on the event loop, which is five times faster
 * than the thread pool. What changes the tree or moves many bytes can wait for the disk and is not.
 */
export function createLocalCalls(): Calls {
  const pooled = createNetworkCalls()
  return {
    ...pooled,
    openRead: async (path) => fs.openSync(path, 'r'),
    close: async (file) => fs.closeSync(file),
    stat: async (path) => fs.statSync(path),
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
 * The calls for a process beside a server, on a local disk: nobody waits for its event loop, so what is done in less time than the thread pool takes to
 * be asked is done there. Removals take the file system longer, and go on beside it.
 */
export function createBackgroundCalls(): Calls {
  return {
    ...createLocalCalls(),
    create: async (path) => fs.openSync(path, 'wx'),
    rename: async (from, to) => fs.renameSync(from, to),
    link: async (from, to) => fs.linkSync(from, to),
    mkdir: async (path) => fs.mkdirSync(path),
  }
}
