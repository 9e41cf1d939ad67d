/**
 * Every operation of the driver, every S3 call that it makes, every fault: it is done, or the store was not there and nothing is half; one fault that passes is
 * not noticed at all.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Driver } from '../../src/storage/driver.ts'
import { describeCall, type S3Call } from './calls.ts'
import { listMultiparts } from './open.ts'
import type { Fault, Script } from './proxy.ts'
import { copied, newName, outcomeOf, readAll, type Scene, setScene, variedBytes } from './scene.ts'
import { reasonToSkip, type S3Server, startVersitygw } from './servers.ts'

const mebibyte = 1024 * 1024
const small = Buffer.from('a small value')
const twoParts = variedBytes(5 * mebibyte + 1000)
const maxAttempts = 4
/** For the faults that are silent. */
const socketTimeoutMs = 1000

interface Operation {
  /** What is there before, past the proxy; returns what `run` needs of it. */
  prepare?(direct: Driver, name: string): Promise<string | undefined>
  run(driver: Driver, name: string, prepared: string | undefined): Promise<unknown>
  /** What it answers when all goes well. */
  readonly answer: unknown
  /** What the store may hold afterwards: when it was done, and when nobody knows. */
  check(direct: Driver, name: string, outcome: 'done' | 'unknown'): Promise<void>
}

const plain = (name: string): string => `data/${name}/a`
const record = (name: string): string => `tags/${name}/a`
const text = async (driver: Driver, key: string): Promise<string | undefined> =>
  (await driver.read(key))?.bytes.toString()

/** All or nothing of `bytes`; all when it was done. */
async function checkWhole(direct: Driver, key: string, bytes: Buffer, outcome: 'done' | 'unknown'): Promise<void> {
  const found = await readAll(direct, key)
  if (outcome === 'done' || found !== undefined) assert.ok(found?.equals(bytes), `${key} is not whole`)
}

async function stream(driver: Driver, key: string, bytes: Buffer): Promise<void> {
  const writer = await driver.writeStream(key)
  try {
    for (let at = 0; at < bytes.length; at += mebibyte) await writer.write(bytes.subarray(at, at + mebibyte))
  } catch (error) {
    await writer.discard()
    throw error
  }
  await writer.seal()
}

const put = async (direct: Driver, key: string, value: string | Buffer): Promise<undefined> => {
  await direct.write(key, Buffer.from(value))
  return undefined
}

const operations: Record<string, Operation> = {
  // The longest first.
  'a body of two parts': {
    run: (driver, name) => stream(driver, plain(name), twoParts),
    answer: undefined,
    check: (direct, name, outcome) => checkWhole(direct, plain(name), twoParts, outcome),
  },
  read: {
    prepare: (direct, name) => put(direct, plain(name), small),
    run: async (driver, name) => (await driver.read(plain(name)))?.bytes.toString(),
    answer: small.toString(),
    check: (direct, name) => checkWhole(direct, plain(name), small, 'done'),
  },
  'read of what is absent': {
    run: (driver, name) => driver.read(plain(name)),
    answer: undefined,
    check: async () => undefined,
  },
  stat: {
    prepare: (direct, name) => put(direct, plain(name), small),
    run: async (driver, name) => (await driver.stat(plain(name)))?.size,
    answer: small.length,
    check: async () => undefined,
  },
  'stat of what is absent': {
    run: (driver, name) => driver.stat(plain(name)),
    answer: undefined,
    check: async () => undefined,
  },
  open: {
    prepare: (direct, name) => put(direct, plain(name), twoParts.subarray(0, 300_000)),
    run: async (driver, name) => {
      const bytes = await copied(await driver.open(plain(name), { start: 7, end: 300_000 }))
      return bytes.equals(twoParts.subarray(7, 300_000))
    },
    answer: true,
    check: async () => undefined,
  },
  write: {
    prepare: (direct, name) => put(direct, plain(name), 'old'),
    run: (driver, name) => driver.write(plain(name), small),
    answer: 'written',
    check: async (direct, name, outcome) => {
      const found = await text(direct, plain(name))
      assert.ok(found === small.toString() || (outcome === 'unknown' && found === 'old'), found)
    },
  },
  'write if absent': {
    run: (driver, name) => driver.write(record(name), small, { ifAbsent: true }),
    answer: 'written',
    check: (direct, name, outcome) => checkWhole(direct, record(name), small, outcome),
  },
  'write if absent, over another': {
    prepare: (direct, name) => put(direct, record(name), 'old'),
    run: (driver, name) => driver.write(record(name), small, { ifAbsent: true }),
    answer: 'exists',
    check: async (direct, name) => assert.equal(await text(direct, record(name)), 'old'),
  },
  'a body of one part': {
    run: (driver, name) => stream(driver, plain(name), small),
    answer: undefined,
    check: (direct, name, outcome) => checkWhole(direct, plain(name), small, outcome),
  },
  promote: {
    prepare: async (direct, name) => {
      await direct.write(record(name), Buffer.from('old'))
      return put(direct, `pushes/${name}/a`, small)
    },
    run: (driver, name) => driver.promote(`pushes/${name}/a`, record(name)),
    answer: 'done',
    check: async (direct, name, outcome) => {
      const [entry, found] = [await text(direct, `pushes/${name}/a`), await text(direct, record(name))]
      if (outcome === 'done') assert.deepEqual([entry, found], [undefined, small.toString()])
      // The entry goes only when the record is there.
      else if (found === 'old') assert.equal(entry, small.toString())
      else assert.equal(found, small.toString())
    },
  },
  'promote of what is absent': {
    prepare: (direct, name) => put(direct, record(name), 'old'),
    run: (driver, name) => driver.promote(`pushes/${name}/a`, record(name)),
    answer: 'refused',
    check: async (direct, name) => assert.equal(await text(direct, record(name)), 'old'),
  },
  remove: {
    prepare: (direct, name) => put(direct, plain(name), small),
    run: (driver, name) => driver.remove(plain(name)),
    answer: 'removed',
    check: async (direct, name, outcome) => {
      if (outcome === 'done') assert.equal(await direct.stat(plain(name)), undefined)
      else await checkWhole(direct, plain(name), small, outcome)
    },
  },
  'remove if unchanged': {
    prepare: async (direct, name) => {
      await put(direct, record(name), small)
      return (await direct.stat(record(name)))?.version
    },
    run: (driver, name, version = '') => driver.remove(record(name), { ifUnchanged: version }),
    answer: 'removed',
    check: async (direct, name, outcome) => {
      if (outcome === 'done') assert.equal(await direct.stat(record(name)), undefined)
    },
  },
  'remove of what has changed': {
    prepare: (direct, name) => put(direct, record(name), small),
    run: (driver, name) => driver.remove(record(name), { ifUnchanged: 'another' }),
    answer: 'changed',
    check: (direct, name) => checkWhole(direct, record(name), small, 'done'),
  },
  list: {
    prepare: async (direct, name) => {
      for (const key of ['a/b', 'a/c', 'b', 'c/d']) await direct.write(`data/${name}/${key}`, small)
      return undefined
    },
    run: async (driver, name) => {
      const options = { after: `data/${name}/a/b`, delimiter: '/', limit: 2 } as const
      const { entries, more } = await driver.list(`data/${name}/`, options)
      return [...entries.map(({ key }) => key.slice(name.length + 6)), more]
    },
    answer: ['a/', 'b', true],
    check: async () => undefined,
  },
}

/** What goes wrong, and whether it is silence, which only a driver in a hurry ends soon enough. */
const faults: Record<string, Fault> = {
  '500': { kind: 'status', status: 500, code: 'InternalError' },
  '503': { kind: 'status', status: 503, code: 'SlowDown' },
  '429': { kind: 'status', status: 429, code: 'TooManyRequests' },
  'reset before': { kind: 'reset before' },
  'lost answer': { kind: 'lost answer' },
  'cut answer': { kind: 'cut answer', bytes: 5 },
  'cut request': { kind: 'cut request', bytes: 3 },
  hang: { kind: 'hang' },
  'hang after': { kind: 'hang after' },
  'hang in answer': { kind: 'hang in answer', bytes: 5 },
}

/** What a store answers for good when it is the operator's trouble. */
const refusals: Record<string, Fault> = {
  '403': { kind: 'status', status: 403, code: 'AccessDenied' },
  '404 of the bucket': { kind: 'status', status: 404, code: 'NoSuchBucket' },
  '400': { kind: 'status', status: 400, code: 'InvalidRequest' },
}

const withBody: ReadonlySet<S3Call> = new Set(['PutObject', 'UploadPart', 'CompleteMultipartUpload'])

/** A copy is sent once, unless the store says that it did nothing. */
const mayFail = (call: S3Call, fault: string): boolean => call === 'CopyObject' && !['503', '429'].includes(fault)

describe('every fault of every call', { skip: reasonToSkip('versitygw') }, () => {
  let server: S3Server
  before(async () => {
    server = await startVersitygw()
  })
  after(() => server.remove())

  describe('in every operation', { concurrency: true }, () => {
    for (const [name, operation] of Object.entries(operations)) {
      it(name, async () => {
        const calls = await withScene(server, (scene) => learn(scene, operation))
        await Promise.all(calls.map((_, at) => withScene(server, (scene) => tryAll(scene, operation, calls, at))))
      })
    }
  })
})

async function withScene<T>(server: S3Server, run: (scene: Scene) => Promise<T>): Promise<T> {
  // It never trusts that the bucket is still there: the same calls in every case.
  const scene = await setScene(server, { elapsed: createSteps() })
  try {
    return await run(scene)
  } finally {
    await scene.close()
  }
}

/** The calls that an operation makes when all goes well. */
async function learn(scene: Scene, operation: Operation): Promise<readonly S3Call[]> {
  await tryOne(scene, operation, scene.driver, () => undefined, 'done', 'no fault')
  const calls = scene.calls()
  assert.notEqual(calls.length, 0)
  return calls
}

/** One call of an operation, and all its faults. */
async function tryAll(scene: Scene, operation: Operation, calls: readonly S3Call[], at: number): Promise<void> {
  const call = calls[at]
  assert.ok(call !== undefined)
  const hasty = await scene.open({ socketTimeoutMs })
  for (const [name, fault] of Object.entries({ ...faults, ...refusals })) {
    if (fault.kind === 'cut request' && !withBody.has(call)) continue
    // It is given ten times as long: `writer.test.ts` waits for that once.
    if (fault.kind.startsWith('hang') && call === 'CompleteMultipartUpload') continue
    const driver = fault.kind.startsWith('hang') ? hasty : scene.driver
    const once: Script = (_, index) => (index === at ? fault : undefined)
    const expected = mayFail(call, name) ? 'either' : 'done'
    if (!(name in refusals)) await tryOne(scene, operation, driver, once, expected, `${name} once at ${call}`)
    if (name === 'hang' || name === 'hang in answer') continue
    const always: Script = (request) => (describeCall(request) === call ? fault : undefined)
    await tryOne(scene, operation, driver, always, 'either', `${name} at every ${call}`)
    const count = scene.calls().filter((one) => one === call).length
    // Each key and part of the operation by itself, and what is asked to know what has become of it.
    const most = maxAttempts * (calls.filter((one) => one === call).length + 1)
    assert.ok(count <= most, `${name} at every ${call}: asked ${count} times`)
  }
}

/** A clock on which two looks are never near each other. */
function createSteps(): () => number {
  let now = 0
  return () => (now += 10_000)
}

async function tryOne(
  scene: Scene,
  operation: Operation,
  driver: Driver,
  script: Script,
  expected: 'done' | 'either',
  what: string,
): Promise<void> {
  const { direct } = scene
  const name = newName()
  const prepared = await operation.prepare?.(direct, name)
  scene.play(script)
  try {
    const outcome = await outcomeOf(operation.run(driver, name, prepared))
    if ('done' in outcome) assert.deepEqual(outcome.done, operation.answer)
    else if (expected === 'done') throw outcome.failed
    await operation.check(direct, name, 'done' in outcome ? 'done' : 'unknown')
    if (expected === 'done') assert.deepEqual(await leftOf(scene, name, what), [])
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/** Multipart uploads that were not ended; one whose beginning was not answered is found by `tidy`. */
async function leftOf({ server, bucket }: Scene, name: string, what: string): Promise<readonly string[]> {
  if (what.endsWith('CreateMultipartUpload')) return []
  return (await listMultiparts(server, bucket)).filter((upload) => upload.includes(name))
}
