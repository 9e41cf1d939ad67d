/** The memory of bodies on their way, and how many parts are: bounded, and given back whatever happens. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { StorageError } from '../../src/storage/driver.ts'
import { createBudget, type MemoryBudget } from '../../src/storage/s3/budget.ts'
import type { Body, Bucket } from '../../src/storage/s3/bucket.ts'
import { S3Error } from '../../src/storage/s3/errors.ts'
import type { GatheredPart } from '../../src/storage/s3/gather.ts'
import { createPartQueue } from '../../src/storage/s3/part-queue.ts'
import { createRetry } from '../../src/storage/s3/retry.ts'
import type { S3Store } from '../../src/storage/s3/store.ts'
import { createWriter } from '../../src/storage/s3/writer.ts'

/** A budget that says what is held. */
function createWatchedBudget(
  maxBytes: number,
): MemoryBudget & { readonly held: () => number; readonly most: () => number } {
  const budget = createBudget(maxBytes)
  let held = 0
  let most = 0
  return {
    hasRoom: (bytes) => budget.hasRoom(bytes),
    hold(bytes) {
      held += bytes
      most = Math.max(most, held)
      budget.hold(bytes)
    },
    admit: (bytes) => budget.admit(bytes),
    release(bytes) {
      held -= bytes
      assert.ok(held >= 0, 'more is given back than was taken')
      budget.release(bytes)
    },
    held: () => held,
    most: () => most,
  }
}

/** A bucket in memory that does as it is told. */
function createFakeStore(options: Partial<S3Store> & { readonly bytes: number }, fails: Partial<Bucket> = {}) {
  const budget = createWatchedBudget(options.bytes)
  const log: string[] = []
  const unused = (): never => assert.fail('a writer does not ask for it')
  const bucket: Bucket = {
    origin: 'http://store.example',
    get: unused,
    open: unused,
    keepsVersions: unused,
    locksFor: unused,
    presign: unused,
    copy: unused,
    remove: unused,
    list: unused,
    listMultiparts: unused,
    lastPartTime: unused,
    close: unused,
    head: async () => Promise.reject(new S3Error('NoSuchKey', 404, '')),
    put: async (_, { size }) => void log.push(`put ${size}`),
    async startMultipart(key) {
      log.push('start')
      return { key, id: 'id' }
    },
    async sendPart(_, number, { size }: Body) {
      log.push(`part ${number} ${size}`)
      return 'etag'
    },
    complete: async (_, parts) => void log.push(`complete ${parts.length}`),
    abort: async () => void log.push('abort'),
    ...fails,
  }
  const store: S3Store = {
    bucket,
    retry: createRetry({ maxAttempts: 2, random: () => 0, sleep: async () => undefined }),
    createId: () => 'writer',
    objectOf: (key) => key,
    keyOf: (object) => object,
    budget,
    partBytes: 1000,
    uploadConcurrency: 4,
    maxValueBytes: 1,
    isEncrypted: false,
    removesExactly: false,
    multipartAgeMs: 0,
    ...options,
  }
  return { store, budget, log }
}

const failing = async (): Promise<never> => Promise.reject(new S3Error('InternalError', 500, ''))

describe('the memory of bodies', () => {
  const endings: Record<string, Partial<Bucket>> = {
    'all goes well': {},
    'an object cannot be put': { put: failing },
    'an upload cannot be begun': { startMultipart: failing },
    'a part fails': { sendPart: async (_, number) => (number === 3 ? failing() : 'etag') },
    'the last call fails': { complete: failing },
    'an upload cannot be aborted': { complete: failing, abort: failing },
  }
  for (const [what, fails] of Object.entries(endings)) {
    it(`is given back when ${what}, by seal or discard`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 0, max: 9000 }), { maxLength: 8 }),
          fc.constantFrom('seal', 'discard'),
          async (sizes, end) => {
            const { store, budget } = createFakeStore({ bytes: 3000 }, fails)
            const writer = createWriter(store, 'data/a', {})
            await (async () => {
              for (const size of sizes) await writer.write(Buffer.alloc(size))
              await writer[end]()
            })().catch(() => writer.discard())
            assert.equal(budget.held(), 0)
          },
        ),
        { numRuns: 60 },
      )
    })
  }

  it('is given back when a body has more parts than S3 takes, which is refused with advice', async () => {
    const { store, budget, log } = createFakeStore({ bytes: 100, partBytes: 1 })
    const writer = createWriter(store, 'data/a', {})
    for (let i = 0; i < 10_000; i++) await writer.write(Buffer.alloc(1))
    const isTooLarge = (error: unknown): boolean =>
      error instanceof StorageError && error.reason === 'too large' && error.message.includes('partBytes')
    await writer.write(Buffer.alloc(1))
    await assert.rejects(async () => writer.write(Buffer.alloc(5)), isTooLarge)
    await assert.rejects(writer.seal(), isTooLarge)
    assert.equal(log.at(-1), 'abort')
    assert.equal(budget.held(), 0)
  })

  it('is not for clients to choose: one body with larger parts at a time, where more have no room beside each other', async () => {
    const { store } = createFakeStore({ bytes: 100 * 1024 * 1024 })
    const length = 10_000 * 40 * 1024 * 1024
    const first = createWriter(store, 'data/a', { length })
    assert.throws(() => createWriter(store, 'data/b', { length }), { name: 'StorageError', reason: 'unavailable' })
    createWriter(store, 'data/c', {})
    await first.discard()
    await first.discard()
    await createWriter(store, 'data/b', { length }).seal()
    createWriter(store, 'data/b', { length })
  })

  it('has larger parts for a body that says that it is long', async () => {
    const { store, log } = createFakeStore({ bytes: 1e9 })
    const length = 2 * 10_000 * 1024 * 1024
    const writer = createWriter(store, 'data/a', { length })
    await writer.write(Buffer.alloc(5 * 1024 * 1024))
    await writer.seal()
    const part = (number: number, mebibytes: number): string => `part ${number} ${mebibytes * 1024 * 1024}`
    assert.deepEqual(log, ['start', part(1, 2), part(2, 2), part(3, 1), 'complete 3'])
  })
})

describe('the parts of a body', () => {
  /** Parts that are sent when the test says so. */
  function setUp({ concurrency, maxBytes }: { concurrency: number; maxBytes: number }) {
    const budget = createWatchedBudget(maxBytes)
    const running = new Map<number, { readonly resolve: () => void; readonly reject: (error: unknown) => void }>()
    const sent: number[] = []
    const send = (_: GatheredPart, number: number): Promise<void> =>
      new Promise((resolve, reject) => running.set(number, { resolve, reject }))
    const queue = createPartQueue({ budget, uploadConcurrency: concurrency }, send, ({ size }) => sent.push(size))
    return {
      budget,
      queue,
      sent,
      running: () => [...running.keys()],
      add: (size: number): void => {
        budget.hold(size)
        queue.add({ size, pieces: [], sha256: undefined, chunks: [] })
      },
      end: async (number: number, error?: unknown): Promise<void> => {
        const part = running.get(number)
        running.delete(number)
        if (error === undefined) part?.resolve()
        else part?.reject(error)
        await new Promise(setImmediate)
      },
    }
  }

  it('are sent side by side, as many as is set', async () => {
    const { queue, add, end, running, sent, budget } = setUp({ concurrency: 2, maxBytes: 1e9 })
    for (const size of [1, 2, 3, 4]) add(size)
    assert.deepEqual(running(), [1, 2])
    assert.notEqual(queue.room(), undefined)
    await end(2)
    assert.deepEqual([running(), sent], [[1, 3], []])
    await end(1)
    assert.deepEqual(
      [running(), sent],
      [
        [3, 4],
        [1, 2],
      ],
    )
    assert.equal(queue.room(), undefined)
    await end(4)
    await end(3)
    await queue.settled()
    assert.deepEqual([sent, budget.held()], [[1, 2, 3, 4], 0])
  })

  it('are sent one by one without memory for more, and one always is', async () => {
    const { add, end, running } = setUp({ concurrency: 8, maxBytes: 25 })
    for (let i = 0; i < 4; i++) add(10)
    assert.deepEqual(running(), [1])
    for (const number of [1, 2, 3, 4]) {
      assert.deepEqual(running(), [number])
      await end(number)
    }
  })

  it('are not sent any more when one failed: everybody who waits is told, and all memory is given back', async () => {
    const { queue, add, end, running, budget } = setUp({ concurrency: 2, maxBytes: 1e9 })
    for (let i = 0; i < 4; i++) add(10)
    const waiting = Promise.allSettled([queue.room(), queue.settled()])
    await end(1, new Error('failed'))
    for (const outcome of await waiting) assert.equal(outcome.status, 'rejected')
    assert.deepEqual(running(), [2])
    const ended = queue.end()
    await end(2)
    await ended
    await assert.rejects(async () => queue.room(), /failed/)
    assert.equal(budget.held(), 0)
  })
})
