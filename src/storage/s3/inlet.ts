/**
 * What a socket reads, in buffers that are used again. Node asks for the next buffer as soon as one was filled, also when it is to stop reading
 * (`onread` of net.connect), so one lies with the socket at any time: with two in all, the next is filled once the last was taken.
 */

export interface Inlet {
  /** For the socket: the buffer to read into. */
  nextBuffer(): Buffer
  /** For the socket: something came; whether to go on reading. */
  take(chunk: Uint8Array): boolean
  /** What came, in order. Rejects when nothing will come any more. */
  next(): Promise<Uint8Array>
  /** Puts back what `next` gave, which was not for whoever asked. */
  putBack(chunk: Uint8Array): void
  /** Whoever had a chunk is done with it. */
  release(chunk: Uint8Array): void
  /** Buffers are of this size from now on. */
  resize(bytes: number): void
  readonly size: () => number
  readonly isWaiting: () => boolean
  readonly hasMore: () => boolean
  /** Nothing will come any more. */
  fail(error: Error): void
  readonly failure: () => Error | undefined
}

interface Waiter {
  readonly resolve: (chunk: Uint8Array) => void
  readonly reject: (error: Error) => void
}

export function createInlet(firstBytes: number): Inlet {
  const ready: Uint8Array[] = []
  let size = 0
  let free: Buffer[] = []
  /** The memory of the buffers in use; others that are still about are dropped. */
  let own: ReadonlySet<ArrayBufferLike> = new Set()
  let waiter: Waiter | undefined
  let failure: Error | undefined

  function resize(bytes: number): void {
    if (bytes === size) return
    size = bytes
    free = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)]
    own = new Set(free.map(({ buffer }) => buffer))
  }
  resize(firstBytes)

  return {
    resize,
    size: () => size,
    nextBuffer: () => free.shift() ?? Buffer.allocUnsafeSlow(size),
    take(came) {
      let chunk = came
      // TLS hands over record after record, whatever we say: a copy of one is less than another buffer for each.
      if (free.length === 0 && own.has(came.buffer)) {
        chunk = Buffer.from(came)
        free.push(Buffer.from(came.buffer))
      }
      if (waiter === undefined) ready.push(chunk)
      else waiter.resolve(chunk)
      waiter = undefined
      return free.length > 1
    },
    next() {
      const chunk = ready.shift()
      if (chunk !== undefined) return Promise.resolve(chunk)
      if (failure !== undefined) return Promise.reject(failure)
      return new Promise((resolve, reject) => {
        waiter = { resolve, reject }
      })
    },
    putBack: (chunk) => void ready.unshift(chunk),
    release({ buffer }) {
      if (own.has(buffer)) free.push(Buffer.from(buffer))
    },
    isWaiting: () => waiter !== undefined,
    hasMore: () => ready.length > 0,
    fail(error) {
      failure ??= error
      waiter?.reject(failure)
      waiter = undefined
    },
    failure: () => failure,
  }
}
