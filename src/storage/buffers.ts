/**
 * The buffers of transfers: one budget for all of a process, so that memory stays bounded however many there are. Each has two: one is filled while the
 * other is emptied. Large ones are kept for the next transfer: fresh ones cost page faults, and collections of all garbage (decision 19).
 */

const kibibyte = 1024

/**
 * Largest first. Measured for one transfer alone: two buffers of 1 MiB reach nginx, 256 KiB lose a third. 64 KiB is what Node takes from a socket
 * at once.
 */
const sizes = [1024 * kibibyte, 256 * kibibyte, 64 * kibibyte] as const
const [largest, middle, smallest] = sizes

/**
 * From a socket to a socket: each read and each write wakes somebody up, so fewer are better (measured, decision 23).
 */
const socketSizes = [4096 * kibibyte, 2048 * kibibyte, ...sizes] as const

/** This part of the budget may be kept while nothing runs. */
const keptShare = 0.25

export interface TransferBuffers {
  /** Counts a transfer that begins. */
  begin(): void
  /** Counts one that ended. */
  end(): void
  /** Bytes that one buffer should have now. */
  size(): number
  /** A buffer of at least so many bytes, whatever is in it. */
  take(bytes: number): Buffer
  /** Gives back one of `take`. Never one that a stream or a call may still use. */
  give(buffer: Buffer): void
}

/** Bytes that one of two buffers should have while so many transfers run. */
function sizeWithin(budgetBytes: number, running: number, from: readonly number[]): number {
  return from.find((size) => 2 * size * running <= budgetBytes) ?? smallest
}

/** The same for transfers between sockets. What is kept is beside what runs; it goes when other sizes are given back. */
export function createSocketBuffers(budgetBytes: number): TransferBuffers {
  let running = 0
  let kept: Buffer[] = []
  const maxKeptBytes = Math.floor(budgetBytes * keptShare)
  return {
    begin: () => void running++,
    end: () => void running--,
    size: () => sizeWithin(budgetBytes, running, socketSizes),
    take(bytes) {
      const size = socketSizes.findLast((each) => each >= bytes) ?? bytes
      const found = kept.find(({ length }) => length === size)
      if (found === undefined) return Buffer.allocUnsafeSlow(size)
      kept = kept.filter((each) => each !== found)
      return found
    },
    give(buffer) {
      // Small ones cost as good as nothing anew, and would take the place of large ones.
      if (buffer.length < largest) return
      kept.push(buffer)
      let bytes = kept.reduce((sum, { length }) => sum + length, 0)
      while (bytes > maxKeptBytes) bytes -= kept.shift()?.length ?? bytes
    },
  }
}

/** `size` is the largest with which all that run fit into the budget, the smallest when none does. What is kept makes room for them. */
export function createTransferBuffers(budgetBytes: number): TransferBuffers {
  let running = 0
  const kept: Buffer[] = []
  const maxKept = Math.floor((budgetBytes * keptShare) / largest)
  /** How many may be kept beside those that run: the newest takes what is kept first, the one that ends has two of its own to give. */
  const room = (): number => Math.floor(budgetBytes / largest) - 2 * (running - 1)
  return {
    begin() {
      running++
      while (kept.length > 0 && kept.length > room()) kept.pop()
    },
    end: () => void running--,
    size: () => sizeWithin(budgetBytes, running, sizes),
    take: (bytes) => (bytes > middle ? (kept.pop() ?? Buffer.allocUnsafeSlow(largest)) : Buffer.allocUnsafeSlow(bytes)),
    give(buffer) {
      if (buffer.length === largest && kept.length < Math.min(maxKept, room())) kept.push(buffer)
    },
  }
}
