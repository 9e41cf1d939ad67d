/** However large a body: two mebibytes per writer, two buffers per copy. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { createQuickCalls } from './faulty-calls.ts'
import { keySpace } from '../../src/registry/layout.ts'
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
})
