/** How much memory the parts on their way may take together; each upload has what it cannot do without whatever the others have. */

export interface MemoryBudget {
  /** Takes so many bytes, whether there is room or not. */
  hold(bytes: number): void
  release(bytes: number): void
  /** Whether there is room for so many more. */
  hasRoom(bytes: number): boolean
  /** Lets an upload begin whose parts are larger than others': as many as fit beside each other, one at least. Returns what ends it; absent: not now. */
  admit(bytes: number): (() => void) | undefined
}

export function createBudget(maxBytes: number): MemoryBudget {
  let held = 0
  let admitted = 0
  return {
    hold: (bytes) => void (held += bytes),
    release: (bytes) => void (held -= bytes),
    hasRoom: (bytes) => held + bytes <= maxBytes,
    admit(bytes) {
      if (admitted > 0 && admitted + bytes > maxBytes) return undefined
      admitted += bytes
      let left = bytes
      return () => {
        admitted -= left
        left = 0
      }
    },
  }
}
