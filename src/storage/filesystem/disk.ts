/** What the parts of the folder driver share: the system calls, the paths, and the little that is remembered between calls. */
import { LRUCache } from 'lru-cache'
import type { KeyRules } from '../keys.ts'
import { createTransferBuffers, type TransferBuffers } from '../buffers.ts'
import { type Calls, createBackgroundCalls, createLocalCalls, createNetworkCalls } from './calls.ts'
import type { Children } from './children.ts'
import type { FilesystemOptions } from './driver.ts'
import { createPaths, type Paths } from './paths.ts'
import { createSharedSync, type SharedSync } from './shared-sync.ts'

export interface Disk {
  readonly calls: Calls
  readonly rules: KeyRules
  readonly paths: Paths
  readonly createId: () => string
  readonly random: () => number
  readonly now: () => number
  readonly elapsed: () => number
  readonly maxValueBytes: number
  readonly buffers: TransferBuffers
  readonly ballastBytes: number
  readonly temporaryAgeMs: number
  /** fsync of a directory, one for everybody who asks meanwhile. */
  readonly syncDirectory: SharedSync
  /** Fixed directories whose own names are durable; they are never removed, so this stays true. */
  readonly syncedFixed: Set<string>
  /** The last known newest file of a record, by key (records.ts, rule 2). */
  readonly remembered: LRUCache<string, string>
  /** Bytes of entries that are being synced ahead of their promote, or have been, by path (ahead.ts). */
  readonly ahead: LRUCache<string, Promise<'synced' | 'gone'>>
  /** Whether a name that is durable makes those of the directories above it durable, too (name-order.ts). */
  readonly keepsNameOrder: boolean
  /** Whether looking costs so little that one looks before one tries. */
  readonly looksFirst: boolean
  /** Directory listings by directory (children.ts); none on a network mount. */
  readonly kept: LRUCache<string, Kept> | undefined
  /** Listings of fewer children are not kept. */
  readonly keptFrom: number
}

/** A directory listing and the stamp of the directory it is good for. */
export interface Kept {
  readonly stamp: string
  readonly children: Children
}

const hourMs = 3_600_000

const mebibyte = 1024 * 1024

/** An entry is promoted moments after it was written, or its request failed and nobody asks any more. */
const maxAhead = 10_000

/** Bytes of a kept name beside its characters, about. */
const nameOverheadBytes = 32

/** A directory with fewer children is read in no time: what is kept of such counts so many times, so that it takes a part of the room at most. */
const smallListing = { below: 1000, counts: 4 } as const

/** Bytes of a kept listing beside its texts, about: there are many of directories with one file, or none. */
const keptOverheadBytes = 400

/**
 * What is kept in memory of what clients may ask for again; and in the background, where each record and most directories are passed once, or a few times
 * within moments: of directories those that take long to read, and are listed a page at a time.
 */
const foregroundMemory = { maxRemembered: 20_000, keptFrom: 1 }
const backgroundMemory = { maxRemembered: 10_000, keptFrom: 100 }

export function createDisk(options: FilesystemOptions, rules: KeyRules): Disk {
  const memory = options.isBackground === true ? backgroundMemory : foregroundMemory
  const { root, mount, maxRemembered = memory.maxRemembered, maxListingBytes = 64 * mebibyte } = options
  const calls = options.calls ?? createCalls(options)
  return {
    calls,
    rules,
    paths: createPaths(root, rules),
    createId: options.createId,
    random: options.random ?? Math.random,
    now: options.now,
    elapsed: options.elapsed ?? (() => performance.now()),
    maxValueBytes: options.maxValueBytes ?? 16 * mebibyte,
    buffers: createTransferBuffers(options.bufferBytes ?? 32 * mebibyte),
    ballastBytes: options.ballastBytes ?? 16 * mebibyte,
    temporaryAgeMs: options.temporaryAgeMs ?? hourMs,
    syncDirectory: createSharedSync(calls),
    syncedFixed: new Set(),
    // By size and not by `max`, which would allocate all of it at the start: 10 ms.
    remembered: new LRUCache({ maxSize: maxRemembered, sizeCalculation: () => 1 }),
    ahead: new LRUCache({ maxSize: maxAhead, sizeCalculation: () => 1 }),
    // Asked when the folder is there.
    keepsNameOrder: false,
    looksFirst: mount !== 'network',
    keptFrom: memory.keptFrom,
    // The stamps of a network mount are by another machine's clock: how old they are cannot be told.
    kept:
      mount === 'network'
        ? undefined
        : new LRUCache<string, Kept>({ maxSize: maxListingBytes, sizeCalculation: bytesOf }),
  }
}

function createCalls({ mount, isBackground = false, elapsed }: FilesystemOptions): Calls {
  if (mount === 'network') return createNetworkCalls()
  return isBackground ? createBackgroundCalls() : createLocalCalls(elapsed)
}

function bytesOf({ stamp, children }: Kept, directory: string): number {
  const own = keptOverheadBytes + stamp.length + directory.length
  const bytes = children.reduce((sum, child) => sum + child.length + nameOverheadBytes, own)
  return children.length < smallListing.below ? bytes * smallListing.counts : bytes
}
