/** Where the calls for a local disk are made: on the event loop they are done when they return, in the thread pool they are not. */
import assert from 'node:assert/strict'
import { existsSync, lstatSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createLocalCalls, createNetworkCalls } from '../../src/storage/filesystem/calls.ts'
import { createQuickCalls, wrapCalls } from './faulty-calls.ts'
import { createFolder, openFolder } from './folder.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-calls-'))
})
after(() => rm(folder, { recursive: true }))

let names = 0
const fresh = (): string => join(folder, String(++names))

/** Requests to the thread pool, with those that ended and were not yet collected. */
const requests = (): number => process.getActiveResourcesInfo().filter((name) => name === 'FSReqCallback').length

/** Makes a call, waits for it, and says whether it went to the thread pool. */
async function isPooled(call: () => Promise<unknown>): Promise<boolean> {
  const earlier = requests()
  const done = call()
  const pooled = requests() > earlier
  await done
  return pooled
}

/** Calls by a clock on which each one that is timed takes `takesMs`. */
function createTimed() {
  const clock = { nowMs: 0, takesMs: 0 }
  let reads = 0
  // The first look at the clock and the second are around a call.
  const calls = createLocalCalls(() => (clock.nowMs += reads++ % 2 === 1 ? clock.takesMs : 0))
  return {
    clock,
    calls,
    take: async (takesMs: number, call = () => calls.mkdir(fresh())) => {
      reads = 0
      clock.takesMs = takesMs
      const pooled = await isPooled(call)
      clock.takesMs = 0
      return pooled ? 'pool' : 'loop'
    },
  }
}

describe('a change on a local disk', () => {
  it('is made on the event loop, whichever it is', async () => {
    const { calls, take } = createTimed()
    const [directory, file, link, moved] = [fresh(), fresh(), fresh(), fresh()]
    let opened = 0
    assert.equal(await take(0, () => calls.mkdir(directory)), 'loop')
    assert.equal(await take(0, async () => void (opened = await calls.create(file))), 'loop')
    assert.equal(await take(0, () => calls.write(opened, [Buffer.from('a')], 0).then(() => undefined)), 'loop')
    await calls.close(opened)
    assert.equal(await take(0, () => calls.link(file, link)), 'loop')
    assert.equal(await take(0, () => calls.rename(file, moved)), 'loop')
    assert.equal(await take(0, () => calls.unlink(moved)), 'loop')
    assert.equal(await take(0, () => calls.rmdir(directory)), 'loop')
    assert.deepEqual([directory, file, link, moved].map(existsSync), [false, false, true, false])
  })

  it('is for the thread pool after one that took long, whichever it is', async () => {
    const { calls, take } = createTimed()
    const [file, link, moved] = [fresh(), fresh(), fresh()]
    let opened = 0
    assert.equal(await take(20), 'loop')
    assert.equal(await take(0), 'pool')
    assert.equal(await take(0, async () => void (opened = await calls.create(file))), 'pool')
    assert.equal(await take(0, () => calls.write(opened, [Buffer.from('a')], 0).then(() => undefined)), 'pool')
    await calls.close(opened)
    assert.equal(await take(0, () => calls.link(file, link)), 'pool')
    assert.equal(await take(0, () => calls.rename(file, moved)), 'pool')
    assert.equal(await take(0, () => calls.unlink(moved)), 'pool')
    assert.equal(await take(0, () => assert.rejects(calls.rmdir(moved), { code: 'ENOENT' })), 'pool')
    assert.deepEqual([file, link, moved].map(existsSync), [false, true, false])
  })

  it('that took long counts when it failed, too, and one of 19 ms alone does not', async () => {
    const { calls, take } = createTimed()
    assert.equal(await take(19), 'loop')
    assert.equal(await take(0), 'loop')
    assert.equal(await take(20, () => assert.rejects(calls.rmdir(fresh()), { code: 'ENOENT' })), 'loop')
    assert.equal(await take(0), 'pool')
  })

  it('is for the thread pool after several that took some time', async () => {
    const { take } = createTimed()
    let loops = 0
    while ((await take(3)) === 'loop') loops++
    assert.ok(loops > 5 && loops < 12, `${loops} of 3 ms`)
    const quick = createTimed()
    for (let i = 0; i < 100; i++) assert.equal(await quick.take(1), 'loop')
  })

  it('is for the event loop again after a second, when one in the thread pool was quick', async () => {
    const { clock, take } = createTimed()
    await take(20)
    clock.nowMs += 999
    assert.equal(await take(0), 'pool')
    assert.equal(await take(0), 'pool')
    clock.nowMs += 1
    assert.equal(await take(21), 'pool', 'the second is over, and the disk still slow')
    assert.equal(await take(20), 'pool', 'it is the next that is made elsewhere')
    assert.equal(await take(0), 'loop')
  })

  it('is counted in the thread pool when it failed, too', async () => {
    const { calls, clock, take } = createTimed()
    await take(20)
    clock.nowMs += 1000
    const fail = (): Promise<void> => assert.rejects(calls.rmdir(fresh()), { code: 'ENOENT' })
    assert.equal(await take(21, fail), 'pool')
    assert.equal(await take(0, fail), 'pool')
    assert.equal(await take(0), 'loop')
  })

  it('that took very long is forgotten once the event loop is left', async () => {
    const { clock, take } = createTimed()
    await take(60_000)
    clock.nowMs += 1000
    assert.equal(await take(0), 'pool')
    for (let i = 0; i < 20; i++) assert.equal(await take(0), 'loop')
  })
})

describe('on a local disk', () => {
  it('a large write and the removal of a large file are for the thread pool', async () => {
    const calls = createLocalCalls(() => 0)
    const path = fresh()
    const file = await calls.create(path)
    const write = (...sizes: number[]) =>
      isPooled(async () => {
        const chunks = sizes.map((size) => Buffer.alloc(size))
        assert.equal(
          await calls.write(file, chunks, 0),
          chunks.reduce((sum, { length }) => sum + length, 0),
        )
      })
    assert.equal(await write(8192, 8192), false)
    assert.equal(await write(8192, 8193), true)
    await calls.close(file)
    assert.equal(await isPooled(() => calls.unlink(path)), true)
    assert.ok(!existsSync(path))

    writeFileSync(path, '')
    truncateSync(path, 16_384)
    assert.equal(await isPooled(() => calls.unlink(path)), false)
    assert.ok(!existsSync(path))
    await assert.rejects(calls.unlink(path), { code: 'ENOENT' })
  })

  it('a link is removed itself, wherever it leads', async () => {
    const calls = createLocalCalls()
    const large = fresh()
    writeFileSync(large, Buffer.alloc(20_000))
    for (const target of [large, folder, fresh()]) {
      const link = fresh()
      symlinkSync(target, link)
      assert.equal(await isPooled(() => calls.unlink(link)), false)
      assert.throws(() => lstatSync(link), { code: 'ENOENT' })
    }
    assert.equal(lstatSync(large).size, 20_000)
    await assert.rejects(calls.unlink(folder), { code: 'EISDIR' })
  })
})

describe('what is written where no directory is yet', () => {
  for (const mount of ['local', 'network'] as const) {
    it(`is there, and on a local disk no call fails for it: ${mount}`, async () => {
      const root = await createFolder()
      const failed: string[] = []
      const calls = wrapCalls(mount === 'local' ? createQuickCalls() : createNetworkCalls(), async (name, _, run) => {
        try {
          return await run()
        } catch (error) {
          failed.push(name)
          throw error
        }
      })
      const driver = await openFolder(root.root, { mount, calls })
      failed.length = 0
      await driver.write('pushes/u/entry', Buffer.from('a'), { durable: false })
      await driver.write('pushes/u/claim', Buffer.from('b'), { ifAbsent: true })
      const writer = await driver.writeStream('data/d/segment')
      await writer.write(Buffer.from('c'))
      await writer.seal()
      await driver.write('data/e/mark', Buffer.alloc(0), { durable: false })
      await driver.promote('pushes/u/entry', 'blobs/sha256/4f/hex/repo')
      await driver.write('tags/r/t', Buffer.from('d'))
      const others = failed.filter((name) => name !== 'rmdir')
      // A network mount tries first: looking would be one more round trip.
      if (mount === 'local') assert.deepEqual(others, [])
      else assert.ok(others.length > 4)
      assert.equal((await driver.read('blobs/sha256/4f/hex/repo'))?.bytes.toString(), 'a')
      await driver.close()
      await root.remove()
    })
  }
})
