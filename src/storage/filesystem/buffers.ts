/**
 * The buffers of transfers: one budget for all of a process, so that memory stays bounded however many there are. Each has two: one is filled while the
 * other is emptied. Some are kept for the next transfer: a fresh one of 1 MiB costs 256 page faults, and every few of them a collection of all garbage.
 */

const kibibyte = 1024

/**
 * Largest first. Measured for one transfer alone: two buffers of 1 MiB reach nginx, 256 KiB lose a third. 64 KiB is what Node takes from a socket
 * at once.
 */
const sizes = [1024 * kibibyte, 256 * kibibyte, 64 * kibibyte] as const
const [, , smallest] = sizes

/** What is kept for later at most, in bytes: the buffers of four large transfers. With more at once, each lasts longer than a fresh buffer costs. */
const maxKeptBytes = 8 * 1024 * kibibyte

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

/** The largest size with which all that run fit into the budget; the smallest when none does. */
export function createTransferBuffers(budgetBytes: number): TransferBuffers {
  let running = 0
  let keptBytes = 0
  const kept = new Map<number, Buffer[]>(sizes.map((size) => [size, []]))
  return {
    begin: () => void running++,
    end: () => void running--,
    size: () => sizes.find((size) => 2 * size * running <= budgetBytes) ?? smallest,
    take(bytes) {
      const size = bytes < smallest ? bytes : (sizes.findLast((each) => each >= bytes) ?? bytes)
      const found = kept.get(size)?.pop()
      if (found === undefined) return Buffer.allocUnsafeSlow(size)
      keptBytes -= size
      return found
    },
    give(buffer) {
      const alike = kept.get(buffer.length)
      if (alike === undefined || keptBytes + buffer.length > maxKeptBytes) return
      keptBytes += buffer.length
      alike.push(buffer)
    },
  }
}
