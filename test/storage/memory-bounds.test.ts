/** However large a body: two mebibytes per writer, two buffers per copy. */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { after, before, describe, it } from 'node:test'
import { createQuickCalls } from './faulty-calls.ts'
import { keySpace } from '../../src/registry/layout.ts'
import { createTransferBuffers } from '../../src/storage/buffers.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { createMemoryDriver } from '../../src/storage/memory.ts'
import { createFolder, type Folder, openFolder } from './folder.ts'

const mebibyte = 1024 * 1024

describe('the memory store', () => {
  it('says that it is full while a body arrives, not when it has swallowed all of it', async () => {
    const driver = createMemoryDriver({ keySpace, now: Date.now, createId: randomUUID, maxBytes: mebibyte })
    const writer = await driver.writeStream('data/a/b')
    assert.equal(writer.write(Buffer.alloc(mebibyte)), undefined)
    await assert.rejects(Promise.resolve(writer.write(Buffer.alloc(1))), { reason: 'full' })
    await writer.discard()
    await driver.write('data/a/c', Buffer.alloc(mebibyte - 'data/a/c'.length))
  })
})

describe('memory of a body', () => {
  let folder: Folder
  before(async () => {
    folder = await createFolder()
  })
  after(() => folder.remove())

  it('makes the caller wait when one mebibyte is being written and one is full', async () => {
    const quick = createQuickCalls()
    const gate = Promise.withResolvers<void>()
    const driver = await openFolder(folder.root, {
      calls: {
        ...quick,
        async write(...args) {
          await gate.promise
          return quick.write(...args)
        },
      },
    })
    const writer = await driver.writeStream('data/a/b')
    const chunk = Buffer.alloc(mebibyte / 4)
    const answers = Array.from({ length: 8 }, () => writer.write(chunk))
    assert.deepEqual(
      answers.map((answer) => answer !== undefined),
      [false, false, false, false, false, false, false, true],
    )
    gate.resolve()
    await answers.at(-1)
    await writer.seal()
    assert.equal((await driver.stat('data/a/b'))?.size, 2 * mebibyte)
  })

  it('copies with two buffers, and a small range with one of its size', async () => {
    const driver = await openFolder(folder.root)
    await driver.write('data/a/c', Buffer.alloc(7 * mebibyte))
    const copy = async (end: number) => {
      const buffers = new Set<ArrayBufferLike>()
      const target = new Writable({
        write(chunk: Buffer, _, done) {
          buffers.add(chunk.buffer)
          setImmediate(done)
        },
      })
      await (await driver.open('data/a/c', { start: 0, end }))?.copyTo(target)
      return [...buffers].map(({ byteLength }) => byteLength)
    }
    assert.deepEqual(await copy(7 * mebibyte), [mebibyte, mebibyte])
    assert.deepEqual(await copy(1000), [1000])
  })

  it('keeps buffers for the next copy, but none that a target may still have', async () => {
    const driver = await openFolder(folder.root)
    await driver.write('data/a/g', Buffer.alloc(7 * mebibyte))
    const seen: Set<ArrayBufferLike>[] = []
    const copy = async (take: (done: () => void, target: Writable) => void): Promise<void> => {
      const buffers = new Set<ArrayBufferLike>()
      seen.push(buffers)
      const target = new Writable({
        write(chunk: Buffer, _, done) {
          buffers.add(chunk.buffer)
          take(done, target)
        },
      })
      await (await driver.open('data/a/g', { start: 0, end: 7 * mebibyte }))?.copyTo(target)
    }
    await copy((done) => setImmediate(done))
    await copy((done) => setImmediate(done))
    await assert.rejects(copy((_, target) => target.destroy()))
    await copy((done) => setImmediate(done))
    const [first, second, failed, last] = seen
    // By identity: all of them have the same bytes.
    assert.equal(second?.size, 2)
    assert.ok([...(second ?? [])].every((buffer) => first?.has(buffer)))
    assert.equal(failed?.size, 1)
    assert.deepEqual(
      [...(failed ?? [])].filter((buffer) => last?.has(buffer)),
      [],
    )
  })

  it('keeps a quarter of the budget, and nothing beside as many as fill it', () => {
    const buffers = createTransferBuffers(8 * mebibyte)
    /** As many at once; what they had. */
    const run = (count: number): readonly Buffer[] => {
      const taken = Array.from({ length: count }, () => {
        buffers.begin()
        return [buffers.take(buffers.size()), buffers.take(buffers.size())]
      }).flat()
      for (const [i, buffer] of taken.entries()) {
        buffers.give(buffer)
        if (i % 2 === 1) buffers.end()
      }
      return taken
    }
    const first = run(1)
    assert.ok(run(1).every((buffer) => first.includes(buffer)))
    assert.equal(run(4).filter((buffer) => first.includes(buffer)).length, 2)
    const afterFour = run(1)
    // Five have to be content with smaller ones: nothing is kept beside them.
    for (let i = 0; i < 5; i++) buffers.begin()
    assert.ok(!afterFour.includes(buffers.take(mebibyte)))
    for (let i = 0; i < 5; i++) buffers.end()
  })

  it('copies no more than a range has, also into a buffer that is larger', async () => {
    const driver = await openFolder(folder.root)
    const bytes = randomBytes(mebibyte)
    await driver.write('data/a/h', bytes)
    for (const end of [1, 65_536, 65_537, 300_000, mebibyte]) {
      const chunks: Buffer[] = []
      const target = new Writable({
        write(chunk: Buffer, _, done) {
          chunks.push(Buffer.from(chunk))
          done()
        },
      })
      await (await driver.open('data/a/h', { start: 0, end }))?.copyTo(target)
      assert.deepEqual(Buffer.concat(chunks), bytes.subarray(0, end))
    }
  })

  it('has smaller buffers the more transfers run, also those that began before, and large ones again when the crowd is gone', async () => {
    const driver = await openFolder(folder.root, { bufferBytes: 4 * mebibyte })
    await driver.write('data/a/d', Buffer.alloc(7 * mebibyte))
    /** A copy that goes on a chunk at a time, when it is told. */
    const begin = async () => {
      const chunks: number[] = []
      let go: () => void = () => undefined
      let arrived = Promise.withResolvers<void>()
      const target = new Writable({
        write(chunk: Buffer, _, done) {
          chunks.push(chunk.length)
          go = done
          arrived.resolve()
        },
      })
      const copied = (await driver.open('data/a/d', { start: 0, end: 7 * mebibyte }))?.copyTo(target)
      await arrived.promise
      const next = async (): Promise<void> => {
        arrived = Promise.withResolvers()
        go()
        await arrived.promise
      }
      const end = async (): Promise<void> => {
        target.destroy()
        await assert.rejects(Promise.resolve(copied))
      }
      return { chunks, next, end }
    }
    const first = await begin()
    const others = [await begin(), await begin()]
    for (let i = 0; i < 4; i++) await first.next()
    assert.deepEqual(
      others.map(({ chunks }) => chunks[0]),
      [mebibyte, mebibyte / 4],
    )
    // What was read ahead before is still as large.
    assert.deepEqual(first.chunks, [mebibyte, mebibyte, mebibyte / 4, mebibyte / 4, mebibyte / 4])
    await Promise.all([first, ...others].map(({ end }) => end()))
    const alone = await begin()
    assert.deepEqual(alone.chunks, [mebibyte])
    await alone.end()
  })

  it('tells of each chunk once, as soon as it is written, and of none whose write failed', async () => {
    const quick = createQuickCalls()
    let isBroken = false
    const driver = await openFolder(folder.root, {
      calls: {
        ...quick,
        write: (...args) =>
          isBroken ? Promise.reject(Object.assign(new Error('broken'), { code: 'EIO' })) : quick.write(...args),
      },
    })
    const chunks = Array.from({ length: 9 }, () => Buffer.alloc(mebibyte / 4))
    const written: Uint8Array[] = []
    const writer = await driver.writeStream('data/a/i', { onWritten: (chunk) => written.push(chunk) })
    for (const chunk of chunks.slice(0, 8)) await writer.write(chunk)
    assert.ok(written.length >= 4)
    await writer.write(Buffer.alloc(mebibyte))
    isBroken = true
    await writer.write(chunks[8] ?? Buffer.alloc(1))
    await assert.rejects(writer.seal())
    assert.equal(written.includes(chunks[8] ?? Buffer.alloc(1)), false)
    assert.ok(chunks.slice(0, 8).every((chunk) => written.filter((each) => each === chunk).length === 1))
  })

  it('gathers no more chunks than a call takes, however small they are', async () => {
    const written: number[] = []
    const quick = createQuickCalls()
    const driver = await openFolder(folder.root, {
      calls: {
        ...quick,
        write(file, chunks, position) {
          written.push(chunks.length)
          return quick.write(file, chunks, position)
        },
      },
    })
    const writer = await driver.writeStream('data/a/j')
    for (let i = 0; i < 3000; i++) await writer.write(Buffer.alloc(1, i % 251))
    await writer.seal()
    assert.deepEqual(written, [1024, 1024, 952])
    const expected = Buffer.from(Array.from({ length: 3000 }, (_, i) => i % 251))
    assert.ok((await driver.read('data/a/j'))?.bytes.equals(expected))
  })

  it('gathers less for each upload the more run', async () => {
    const written: number[] = []
    const quick = createQuickCalls()
    const driver = await openFolder(folder.root, {
      bufferBytes: 4 * mebibyte,
      calls: {
        ...quick,
        write(file, chunks, position) {
          written.push(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0))
          return quick.write(file, chunks, position)
        },
      },
    })
    const writers = await Promise.all(['e', 'f', 'g'].map((name) => driver.writeStream(`data/a/${name}`)))
    const fill = async (which: number): Promise<void> => {
      for (let i = 0; i < 16; i++) await writers[which]?.write(Buffer.alloc(mebibyte / 16))
    }
    await fill(0)
    await writers[0]?.seal()
    assert.deepEqual(written, [mebibyte / 4, mebibyte / 4, mebibyte / 4, mebibyte / 4])
    written.length = 0
    await fill(1)
    await writers[1]?.seal()
    assert.deepEqual(written, [mebibyte])
    await writers[2]?.discard()
  })
})

describe('memory of listings', () => {
  it('is what they may take, however many small directories were listed', async () => {
    const folder = await createFolder()
    const quick = createQuickCalls()
    // Any directory: they are all this one's only child.
    const entry = (await readdir(join(import.meta.dirname, '..'), { withFileTypes: true })).find((each) =>
      each.isDirectory(),
    )
    assert.ok(entry !== undefined)
    const driver = await openFolder(folder.root, {
      maxListingBytes: 4 * mebibyte,
      calls: { ...quick, stat: async () => quick.stat(folder.root), readEntries: async () => [entry] },
      now: () => Date.now() + 3_600_000,
    })
    setFlagsFromString('--expose-gc')
    const collect: unknown = runInNewContext('gc')
    const heapBytes = (): number => {
      if (typeof collect === 'function') collect()
      return process.memoryUsage().heapUsed
    }
    const before = heapBytes()
    for (let i = 0; i < 20_000; i++) {
      const prefix = `blobs/sha256/aa/${String(i).padStart(64, '0')}/`
      assert.deepEqual((await driver.list(prefix, { limit: 9 })).entries, [{ key: prefix + entry.name }])
    }
    const grown = heapBytes() - before
    await driver.close()
    await folder.remove()
    assert.ok(grown < 6 * mebibyte, `${grown} bytes for listings`)
  })

  it('in the background is of those that are long, and read once for all their pages', async () => {
    const folder = await createFolder()
    const quick = createQuickCalls()
    const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `j${i}`)
    const ends = [join(folder.root, 'data/long'), join(folder.root, 'data/short')] as const
    for (const [i, directory] of ends.entries()) {
      await mkdir(directory, { recursive: true })
      for (const name of names(i === 0 ? 300 : 20)) await writeFile(join(directory, name), '')
    }
    const reads: string[] = []
    const driver = await openFolder(folder.root, {
      isBackground: true,
      calls: {
        ...quick,
        readEntries(path, size) {
          reads.push(path)
          return quick.readEntries(path, size)
        },
      },
      now: () => Date.now() + 3_600_000,
    })
    const count = async (prefix: string): Promise<number> =>
      (await Array.fromAsync(listAll(driver, prefix, { pageSize: 7 }))).length
    assert.deepEqual([await count('data/long/'), await count('data/short/')], [300, 20])
    const readsOf = (end: string): number => reads.filter((path) => path === end).length
    assert.deepEqual(ends.map(readsOf), [1, 3])
    await driver.close()
    await folder.remove()
  })
})
