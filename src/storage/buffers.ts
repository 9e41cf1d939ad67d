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
    size: () => sizes.find((size) => 2 * size * running <= budgetBytes) ?? smallest,
    take: (bytes) => (bytes > middle ? (kept.pop() ?? Buffer.allocUnsafeSlow(largest)) : Buffer.allocUnsafeSlow(bytes)),
    give(buffer) {
      if (buffer.length === largest && kept.length < Math.min(maxKept, room())) kept.push(buffer)
    },
  }
}
