/** A disk that is really full: a small memory file system, which only root can mount. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { createFolder, type Folder, openFolder, rawTree, reasonToSkipMounts } from './folder.ts'

const mebibyte = 1024 * 1024
const ballastBytes = mebibyte

function isFull(error: unknown): boolean {
  return error instanceof StorageError && error.reason === 'full'
}

describe('a full disk', { skip: reasonToSkipMounts() }, () => {
  let folder: Folder
  let disk = ''
  let driver: Driver
  before(async () => {
    folder = await createFolder()
    disk = join(folder.root, 'disk')
    await mkdir(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk])
    driver = await openFolder(join(disk, 'store'), { ballastBytes })
  })
  after(async () => {
    execFileSync('umount', [disk])
    await folder.remove()
  })

  /** Writes bodies until there is no room for one more; returns their keys. */
  async function fill(): Promise<string[]> {
    const keys: string[] = []
    for (const size of [mebibyte, 64 * 1024, 4096]) {
      for (;;) {
        const key = `data/fill-${keys.length}-${size}/a`
        const before = await rawTree(disk)
        const writer = await driver.writeStream(key)
        try {
          await writer.write(Buffer.alloc(size))
          await writer.seal()
          keys.push(key)
        } catch (error) {
          assert.ok(isFull(error), String(error))
          assert.deepEqual(await rawTree(disk), before)
          break
        }
      }
    }
    return keys
  }

  it('refuses to write, and leaves nothing behind', async () => {
    await driver.write('tags/r/t', Buffer.from('x'))
    const keys = await fill()
    assert.ok(keys.length > 4)
    const before = await rawTree(disk)
    await assert.rejects(driver.write('data/more/a', Buffer.alloc(64 * 1024)), isFull)
    await assert.rejects(driver.write('data/more/a', Buffer.alloc(64 * 1024), { ifAbsent: true }), isFull)
    await assert.rejects(driver.write('tags/r/t', Buffer.alloc(64 * 1024)), isFull)
    await assert.rejects(driver.write('tags/r/u', Buffer.alloc(64 * 1024), { ifAbsent: true }), isFull)
    assert.deepEqual(await rawTree(disk), before)
    assert.equal((await driver.read('tags/r/t'))?.bytes.toString(), 'x')
  })

  it('takes marks and garbage entries from the reserve, and deletes', async () => {
    assert.equal(statSync(join(disk, 'store/.ballast')).size, ballastBytes)
    // 32 KiB: more than tmpfs finds in its pages at hand.
    for (let i = 0; i < 8; i++) {
      assert.equal(await driver.write(`garbage/${i}`, Buffer.alloc(32 * 1024), { reserve: true }), 'written')
    }
    assert.ok(!(await readdir(join(disk, 'store'))).includes('.ballast'))
    assert.equal(await driver.remove('tags/r/t'), 'removed')
  })

  it('gives the room of the ballast to nobody else', async () => {
    await assert.rejects(driver.write('data/more/a', Buffer.from('x')), isFull)
    await assert.rejects(driver.writeStream('data/more/a'), isFull)
    await driver.tidy()
    assert.ok(!(await readdir(join(disk, 'store'))).includes('.ballast'))
  })

  it('makes the ballast again when there is room, and writes go on', async () => {
    for await (const { key } of listAll(driver, '')) assert.equal(await driver.remove(key), 'removed')
    await driver.write('data/more/a', Buffer.from('x'))
    assert.equal(statSync(join(disk, 'store/.ballast')).size, ballastBytes)
    await driver.remove('data/more/a')
  })

  it('opens a store on a full disk, and reads', async () => {
    await driver.write('tags/r/t', Buffer.from('x'))
    await fill()
    const other = await openFolder(join(disk, 'store'), { ballastBytes })
    assert.equal((await other.read('tags/r/t'))?.bytes.toString(), 'x')
  })
})
