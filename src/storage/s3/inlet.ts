/**
 * What a socket reads, in buffers that are used again. Node asks for the next buffer as soon as one was filled, also when it is to stop reading
 * (`onread` of net.connect), so one lies with the socket at any time: with two in all, the next is filled once the last was taken. Heads and the ends of
 * bodies come in small ones, which stay with the connection; so no large one lies with the socket when a body is over.
 */
import type { TransferBuffers } from '../buffers.ts'

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
  /** Whether the socket may read: there is a buffer for the time when the one that lies with it is filled. */
  readonly mayRead: () => boolean
  /** A body of so many bytes, also those that came already, comes next, in buffers of `size`. */
  expect(bytes: number, size: number): void
  /** Buffers of the body are of this size from now on. */
  resize(size: number): void
  /** How large they are. */
  readonly size: () => number
  /** The body is over, and every chunk was released: gives back its buffers. */
  finish(): void
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

/** The buffers of one connection: two small ones, and two large ones while a body comes. */
function createOwnBuffers(smallBytes: number, buffers: Pick<TransferBuffers, 'take' | 'give'>) {
  const small: Buffer[] = [Buffer.allocUnsafeSlow(smallBytes), Buffer.allocUnsafeSlow(smallBytes)]
  const smallMemory: ReadonlySet<ArrayBufferLike> = new Set(small.map(({ buffer }) => buffer))
  let large: Buffer[] = []
  /** The memory of the large ones in use; others that are still about are dropped. */
  let largeMemory: ReadonlySet<ArrayBufferLike> = new Set()
  let size = smallBytes
  /** Bytes of the body that are not here yet. */
  let left = 0
  const isLarge = (): boolean => size > smallBytes && left > smallBytes
  const free = (): Buffer[] => (isLarge() ? large : small)
  return {
    size: () => size,
    count: () => free().length,
    owns: ({ buffer }: Uint8Array): boolean => smallMemory.has(buffer) || largeMemory.has(buffer),
    came: (bytes: number) => {
      left = Math.max(0, left - bytes)
    },
    lend(): Buffer {
      // Never more than the body has left: what lies with the socket when it is over is small.
      if (isLarge()) return (large.shift() ?? Buffer.allocUnsafeSlow(size)).subarray(0, Math.min(size, left))
      return small.shift() ?? Buffer.allocUnsafeSlow(smallBytes)
    },
    back({ buffer }: Uint8Array): void {
      if (smallMemory.has(buffer)) small.push(Buffer.from(buffer))
      else if (largeMemory.has(buffer)) large.push(Buffer.from(buffer))
    },
    /** Those of before that are free go back; the others are dropped when they come. */
    use(bytes: number, each: number): void {
      left = bytes
      for (const buffer of large) buffers.give(buffer)
      size = Math.max(each, smallBytes)
      large = isLarge() ? [buffers.take(size), buffers.take(size)] : []
      largeMemory = new Set(large.map(({ buffer }) => buffer))
    },
    left: () => left,
  }
}

export function createInlet(smallBytes: number, buffers: Pick<TransferBuffers, 'take' | 'give'>): Inlet {
  const ready: Uint8Array[] = []
  const own = createOwnBuffers(smallBytes, buffers)
  let waiter: Waiter | undefined
  let failure: Error | undefined

  return {
    nextBuffer: () => own.lend(),
    take(came) {
      own.came(came.length)
      let chunk = came
      // TLS hands over record after record, whatever we say: a copy of one is less than another buffer for each.
      if (own.count() === 0 && own.owns(came)) {
        chunk = Buffer.from(came)
        own.back(came)
      }
      if (waiter === undefined) ready.push(chunk)
      else waiter.resolve(chunk)
      waiter = undefined
      return own.count() > 1
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
    release: (chunk) => own.back(chunk),
    mayRead: () => own.count() > 0,
    expect: (bytes, size) =>
      own.use(
        ready.reduce((left, { length }) => left - length, bytes),
        size,
      ),
    resize: (size) => own.use(own.left(), size),
    size: own.size,
    finish: () => own.use(0, smallBytes),
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
