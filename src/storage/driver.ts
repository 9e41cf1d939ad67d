/**
 * The storage driver: opaque bytes under keys. It knows nothing of OCI, HTTP or what a key means; it must keep
 * the promises written at each method, because every protocol of the registry is built on exactly these.
 */
import type { Writable } from 'node:stream'

/** Every I/O function takes this last; an aborted signal rejects with the signal's reason. */
export interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/**
 * Which keys may exist, so that a driver can lay them out and refuse all others. Drawn by the registry
 * (`registry/layout.ts`), passed down: the driver never guesses a meaning from a name.
 */
export interface KeySpace {
  /** Top-level keys that stand alone, e.g. `berth`. */
  readonly singles: readonly string[]
  /** Top-level prefixes (ending in `/`) whose keys are written once or overwritten as a whole, never conditionally removed. */
  readonly plain: readonly string[]
  /**
   * Top-level prefixes (ending in `/`) of *records*: keys that are rewritten by `promote` and removed only if unchanged. `depth` is the
   * number of segments of a record key: `tags/<repo>/<tag>` has 3. The first `fixed` segments are a small closed set (`blobs/sha256/4f`
   * has 3), so a driver that has directories may keep them for good.
   */
  readonly records: readonly { readonly prefix: string; readonly depth: number; readonly fixed: number }[]
}

/** A half-open range of bytes: `start` is the first, `end` is one past the last. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** What the store says of one key. `modified` is the store's clock, milliseconds since 1970. */
export interface ObjectStat {
  readonly size: number
  readonly modified: number
  /** Names this very content; pass it to `remove` as `ifUnchanged`. */
  readonly version: string
}

/** A small value, whole. */
export interface StoredValue extends ObjectStat {
  readonly bytes: Buffer
}

/**
 * Bytes that are open: they can be copied to the end even when the key is removed meanwhile. Whoever opened them calls `copyTo` once or
 * `close`; both may follow each other.
 */
export interface OpenBytes {
  /** The length of the range that was opened. */
  readonly size: number
  /**
   * Writes the opened range to `target` with bounded memory, waiting for it, and closes. It does not end `target`. Rejects when the
   * target closes early, when the stored object is shorter than the range, or when aborted. Buffers are reused: when `target` calls back
   * for a chunk, it must be done with it. Sockets, files and hashes are; a PassThrough, which hands the same buffer on, is not.
   */
  copyTo(target: Writable, options?: Cancel): Promise<void>
  /** Gives the handle back; idempotent. */
  close(): Promise<void>
}

/**
 * A body of unknown length on its way into the store. Nothing is visible under the key before `seal` resolves; after `discard` (or a
 * kill) nothing ever is. Exactly one of `seal` and `discard` must be called.
 */
export interface ByteWriter {
  /**
   * Takes a chunk; the buffer belongs to the writer until `onWritten` is called with it, or `seal` or `discard` settles. Returns a promise when the
   * caller must wait before the next chunk (memory stays bounded), else `undefined`. A failed write rejects here or at `seal`.
   */
  write(chunk: Uint8Array): Promise<void> | undefined
  /** Makes the bytes durable and visible. */
  seal(): Promise<void>
  /** Forgets the bytes; never rejects because they are already gone. */
  discard(): Promise<void>
}

export interface WriteOptions extends Cancel {
  /** Write only when the key does not exist; atomic between any number of processes. */
  readonly ifAbsent?: boolean
  /**
   * Survives power loss once the promise resolves, also with the answer `exists`. Default true; false only for what a dead process makes
   * worthless.
   */
  readonly durable?: boolean
  /** This process will promote it: the bytes may become durable meanwhile, so that the promote need not wait for them. */
  readonly toPromote?: boolean
  /** May use the room that the driver keeps back for a full store: only for small values without which nothing could be deleted. */
  readonly reserve?: boolean
}

export interface StreamOptions extends Cancel {
  /** How many bytes will come, where that is known. */
  readonly length?: number | undefined
  /**
   * Called in their order, at most once for each chunk that is written, though not yet durable, and that the writer is done with; never for one whose
   * write failed. It must not throw. A driver that keeps chunks does not call it, nor one that has copied a small chunk.
   */
  readonly onWritten?: (chunk: Uint8Array) => void
}

export interface RemoveOptions extends Cancel {
  /** Records only: remove it only when its version still is this one. */
  readonly ifUnchanged?: string
  /** Survives power loss once the promise resolves. Default true; false where it does no harm that the key is there again, or before `settle`. */
  readonly durable?: boolean
}

export interface ListOptions extends Cancel {
  /**
   * Only keys that sort after this one (byte order); it need not exist. A folded entry (it ends in `/` and is longer than the prefix)
   * stands for all keys that begin with it, so the last entry of a page is always the `after` of the next page.
   */
  readonly after?: string
  /**
   * Fold everything behind the next `/` after the prefix into one entry that ends in `/`. Such an entry is listed when a key in it sorts
   * after `after`.
   */
  readonly delimiter?: '/'
  /** The most entries returned; at least 1. */
  readonly limit: number
  /** Also report the sizes and times of the entries. */
  readonly times?: boolean
}

export interface ListEntry {
  /** The whole key; ends in `/` for a folded prefix. */
  readonly key: string
  /** The store's time of the last write, in ms; only when `times` was asked, never for a folded prefix. */
  readonly modified?: number
  /** In bytes; comes with `modified`. */
  readonly size?: number
}

export interface Listing {
  /** In byte order, at most `limit`. */
  readonly entries: readonly ListEntry[]
  /** Whether there are more behind the last entry. */
  readonly more: boolean
  /** The store's time when it answered, in ms. Ages are differences of two times made by the store. */
  readonly now: number
}

/**
 * The driver. Reads and lists see every write, promote and remove that was answered before they began, from any process on the same
 * store. Keys outside the key space, with an empty segment or one that begins with `.`, with other characters than `A-Za-z0-9._-/!+~^@`,
 * with a segment over 255 bytes or over 1,024 bytes in all, and a key that is also a prefix of another (`a/b` beside `a/b/c`) are a bug of
 * the caller and rejected with an ordinary Error. After a StorageError `unavailable` a change may have happened or not; after `full`,
 * `read-only` and an abort it has not.
 */
export interface Driver {
  /**
   * How `promote` works: `move` has happened or not once the entry is gone; a `copy` that was begun before the entry was deleted may still
   * land a while later.
   */
  readonly promotion: 'move' | 'copy'

  /**
   * How `remove` with `ifUnchanged` works: `exact`, whatever is written at the same moment; a store that `looks first` may remove what was written between
   * its look and its removal, a few milliseconds later or as long as its process sleeps.
   */
  readonly removal: 'exact' | 'looks first'

  /** Reads a small value whole. Absent → `undefined`; over `maxValueBytes` → Error. */
  read(key: string, options?: Cancel): Promise<StoredValue | undefined>

  /** What the store knows of a key without reading it; absent → `undefined`. */
  stat(key: string, options?: Cancel): Promise<ObjectStat | undefined>

  /** Opens a range of a big value for copying. Absent → `undefined`; a range outside of the object → Error. */
  open(key: string, range: ByteRange, options?: Cancel): Promise<OpenBytes | undefined>

  /**
   * Writes a small value whole: readers see the old or the new one, never a part. With `ifAbsent` and the key there: `exists`, nothing is
   * changed.
   */
  write(key: string, bytes: Uint8Array, options?: WriteOptions): Promise<'written' | 'exists'>

  /** Opens a writer for a body of unknown length (plain keys only, always durable). */
  writeStream(key: string, options?: StreamOptions): Promise<ByteWriter>

  /**
   * The fence: the store itself turns the plain key `entry` into the record `record` (replacing what was there) and removes `entry`. `refused`, and nothing changes, when
   * `entry` is not there (any more). Durable. Two promotes of one record leave one of the two, whole.
   */
  promote(entry: string, record: string, options?: Cancel): Promise<'done' | 'refused'>

  /**
   * Removes a key. Removing what is absent is `absent`, not an error. Refuses (Error) every key outside the key space, and singles.
   */
  remove(key: string, options?: RemoveOptions): Promise<'removed' | 'absent' | 'changed'>

  /**
   * Lists keys that start with `prefix` (ends in `/`, or is empty for everything) in byte order. Without `times` it may show a record that
   * a killed process had just begun to write or had just removed; a read of it says absent.
   */
  list(prefix: string, options: ListOptions): Promise<Listing>

  /**
   * Names the keys and folded prefixes directly below a prefix as they stand now: while this stays the same, none was added or removed. `undefined` when
   * that cannot be told yet. Only drivers that can tell without a list have this.
   */
  readonly stamp?: ((prefix: string, options?: Cancel) => Promise<string | undefined>) | undefined

  /**
   * Once it resolves, nothing comes back after power loss below a folded entry of `prefix` (ends in `/`) of which every key had been removed before the
   * call, however it was removed.
   */
  settle(prefix: string, options?: Cancel): Promise<void>

  /** Removes the driver's own leftovers of killed processes; returns how many. Safe at any time, from any process. */
  tidy(options?: Cancel): Promise<number>

  /**
   * Where the file of a plain key lies, relative to what the driver was opened on, for a server beside us that sends files. Only drivers that
   * keep each value in a file of its own have this. It does not look whether the file is there.
   */
  readonly pathOf?: ((key: string) => string) | undefined

  /**
   * A URL where whoever has it may GET the bytes of a plain key for a while, also a range of them. Only drivers that can sign one, and were told to, have
   * this. It does not look whether the key is there.
   */
  readonly signUrl?: ((key: string, options?: Cancel) => Promise<string>) | undefined

  /** Gives back what the driver holds (handles, sockets). Nothing may be called afterwards. */
  close(): Promise<void>
}

/**
 * A refusal or failure of the store itself, as opposed to a bug. `full`: no room (ENOSPC, EDQUOT). `unavailable`: it
 * failed or did not answer, trying again later may help. `read-only`: it takes no writes. `too large`: it takes no value of that size.
 */
export class StorageError extends Error {
  readonly reason: 'full' | 'unavailable' | 'read-only' | 'too large'

  constructor(reason: StorageError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StorageError'
    this.reason = reason
  }
}
