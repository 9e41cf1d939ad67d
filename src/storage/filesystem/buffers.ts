/**
 * How big the buffers of a transfer are: one budget for all of a process, so that memory stays bounded however many there are. Each has two: one
 * is filled while the other is emptied.
 */

const kibibyte = 1024

/**
 * Largest first. Measured for one transfer alone: two buffers of 1 MiB reach nginx, 256 KiB lose a third. 64 KiB is what Node takes from a socket
 * at once.
 */
const sizes = [1024 * kibibyte, 256 * kibibyte, 64 * kibibyte] as const
const [, , smallest] = sizes

export interface TransferBuffers {
  /** Counts a transfer that begins. */
  begin(): void
  /** Counts one that ended. */
  end(): void
  /** Bytes that one buffer should have now. */
  size(): number
}

/** The largest size with which all that run fit into the budget; the smallest when none does. */
export function createTransferBuffers(budgetBytes: number): TransferBuffers {
  let running = 0
  return {
    begin: () => void running++,
    end: () => void running--,
    size: () => sizes.find((size) => 2 * size * running <= budgetBytes) ?? smallest,
  }
}
