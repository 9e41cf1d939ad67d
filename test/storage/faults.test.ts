/** Every operation with every one of its system calls failing, or being the one before which the process is killed. */
import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { join } from 'node:path'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { createFaultyCalls, createQuickCalls, type Fault } from './faulty-calls.ts'
import { createFolder, type Folder, openFolder, rawTree } from './folder.ts'

const value = Buffer.from('new')

/** What is done to a store that holds what `prepare` writes. */
const operations: Readonly<Record<string, (driver: Driver) => Promise<unknown>>> = {
  'write a new key': (driver) => driver.write('data/new/a', value),
  'write a new key that need not survive': (driver) => driver.write('data/new/a', value, { durable: false }),
  'overwrite a key': (driver) => driver.write('data/old/a', value),
  'create a key': (driver) => driver.write('data/new/a', value, { ifAbsent: true }),
  'create a key that is there': (driver) => driver.write('data/old/a', value, { ifAbsent: true }),
  'stream a body': async (driver) => {
    const writer = await driver.writeStream('data/new/a')
    for (let i = 0; i < 5; i++) await writer.write(Buffer.alloc(400_000, i))
    await writer.seal()
  },
  'promote to a new record': (driver) => driver.promote('pushes/p/entry', 'blobs/sha256/4f/new/a'),
  'promote to a record': (driver) => driver.promote('pushes/p/entry', 'tags/old/a'),
  'promote what is not there': (driver) => driver.promote('pushes/p/none', 'tags/old/a'),
  'write a record': (driver) => driver.write('tags/old/a', value),
  'create a record': (driver) => driver.write('tags/new/a', value, { ifAbsent: true }),
  'write an empty key': (driver) => driver.write('data/new/sub/a', Buffer.alloc(0)),
  'write an empty key that need not survive': (driver) =>
    driver.write('data/new/sub/a', Buffer.alloc(0), { durable: false }),
  'create a record that is there': (driver) => driver.write('tags/old/a', value, { ifAbsent: true }),
  'remove a key': (driver) => driver.remove('data/old/a'),
  'remove a record': (driver) => driver.remove('tags/old/a'),
  'remove a record if unchanged': async (driver) =>
    driver.remove('tags/old/a', { ifUnchanged: (await driver.stat('tags/old/a'))?.version ?? '' }),
  'read all': async (driver) => {
    for await (const { key } of listAll(driver, '', { times: true })) await driver.read(key)
  },
  settle: async (driver) => {
    await driver.remove('data/old/a', { durable: false })
    await driver.settle('data/')
  },
  tidy: (driver) => driver.tidy(),
}

async function prepare(driver: Driver): Promise<void> {
  await driver.write('data/old/a', Buffer.from('old'))
  await driver.write('pushes/p/entry', value)
  await driver.write('tags/old/a', Buffer.from('old'))
  await driver.write('tags/old/b', Buffer.from('old'))
  // The first directories of a record stay for good: they are no trace.
  await driver.write('blobs/sha256/4f/old/a', Buffer.from('old'))
}

/** A prepared store of its own. */
interface Store {
  readonly root: string
  readonly driver: Driver
}

/** Every key with its value. */
async function contents(driver: Driver): Promise<Record<string, string | undefined>> {
  const found: Record<string, string | undefined> = {}
  for await (const { key } of listAll(driver, '', { times: true })) {
    found[key] = (await driver.read(key))?.bytes.toString('base64')
  }
  return found
}

/** The tree with the random parts of names left out. */
async function shape(root: string): Promise<string[]> {
  return (await rawTree(root)).map((path) => path.replace(/\d{16}-[\w-]+$/, '<file>'))
}

describe('a fault in any system call', () => {
  let folder: Folder
  let count = 0
  before(async () => {
    folder = await createFolder()
  })
  after(async () => {
    const open = openFilesIn(folder.root)
    await folder.remove()
    assert.deepEqual(open, [], 'files were left open')
  })

  async function createStore(): Promise<Store> {
    const root = join(folder.root, String(count++))
    const driver = await openFolder(root, { calls: createQuickCalls(), temporaryAgeMs: 0 })
    await prepare(driver)
    return { root, driver }
  }

  /** What a store looks like before and after an operation. */
  async function describeOutcomes(operation: (driver: Driver) => Promise<unknown>) {
    const { root, driver } = await createStore()
    const before = { contents: await contents(driver), shape: await shape(root) }
    await operation(driver)
    return { before, after: { contents: await contents(driver), shape: await shape(root) } }
  }

  /** Runs an operation with a fault; `undefined` when it made too few calls for it. */
  async function run({ root, driver }: Store, operation: (driver: Driver) => Promise<unknown>, fault: Fault) {
    const { calls, arm, struck } = createFaultyCalls(fault)
    const faulty = await openFolder(root, { calls })
    arm()
    let error: unknown
    try {
      await operation(faulty)
    } catch (caught) {
      error = caught
    }
    if (!struck()) return undefined
    const shapeAfter = await shape(root)
    // Whoever comes next: a list with times and a tidy-up are all the cleaning there is.
    const found = await contents(driver)
    await driver.tidy()
    return { error, shapeAfter, contents: found, shapeTidied: await shape(root) }
  }

  for (const [name, operation] of Object.entries(operations)) {
    it(`is survived when it comes while we ${name}`, async (t) => {
      const outcomes = await describeOutcomes(operation)
      let store = await createStore()
      let faults = 0
      for (const how of ['ENOSPC', 'EIO', 'kill'] as const) {
        for (let at = 0; ; at++) {
          const result = await run(store, operation, { at, how })
          if (result === undefined) break
          faults++
          const said = `${how} at call ${at}: ${String(result.error)}`
          const [before, done] = [outcomes.before, outcomes.after]
          const matches = [before, done].find((one) => isDeepEqual(one.contents, result.contents))
          assert.ok(matches !== undefined, `${said}: ${JSON.stringify(result.contents)}`)
          assert.deepEqual(result.shapeTidied, matches.shape, said)
          if (matches === done) store = await createStore()
          if (result.error === undefined) assert.deepEqual(result.contents, done.contents, said)
          if (how === 'kill' || result.error === undefined) continue
          assert.ok(result.error instanceof StorageError, said)
          if (how === 'EIO') assert.equal(result.error.reason, 'unavailable', said)
          // "Full" promises that nothing has happened.
          if (result.error.reason === 'full') assert.deepEqual(result.shapeAfter, before.shape, said)
        }
      }
      t.diagnostic(`${faults} faults`)
    })
  }
})

/** The files of a folder that this process has open, where the system tells. */
function openFilesIn(root: string): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc/self/fd')
    .map((file) => {
      try {
        return readlinkSync(`/proc/self/fd/${file}`)
      } catch {
        return ''
      }
    })
    .filter((path) => path.startsWith(root))
}

function isDeepEqual(left: unknown, right: unknown): boolean {
  try {
    assert.deepEqual(left, right)
    return true
  } catch {
    return false
  }
}
