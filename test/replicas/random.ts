/** Random choices that a printed seed repeats. */

export interface Random {
  /** A whole number from 0 up to, and without, `limit`. */
  readonly below: (limit: number) => number
  readonly pick: <T>(from: readonly T[]) => T
  readonly bytes: (count: number) => Buffer
}

/** Mulberry32: 32 bits of state are plenty for choosing what a test does next. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let bits = state
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return (bits ^ (bits >>> 14)) >>> 0
  }
  const below = (limit: number): number => next() % limit
  return {
    below,
    pick: (from) => {
      const picked = from[below(from.length)]
      if (picked === undefined) throw new Error('nothing to pick from')
      return picked
    },
    bytes: (count) => {
      const bytes = Buffer.allocUnsafe(count + 4)
      for (let at = 0; at < count; at += 4) bytes.writeUInt32LE(next(), at)
      return bytes.subarray(0, count)
    },
  }
}
