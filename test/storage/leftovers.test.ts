/** What killed processes and strangers leave in a folder. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { createQuickCalls } from './faulty-calls.ts'
import { createFolder, type Folder, openFolder, rawTree } from './folder.ts'

describe('leftovers in a folder', () => {
  let folder: Folder
  let driver: Driver
  const inFolder = (...path: string[]) => join(folder.root, 'store', ...path)
  before(async () => {
    folder = await createFolder()
    driver = await openFolder(inFolder(), { temporaryAgeMs: 0 })
  })
  after(() => folder.remove())

  async function keys(options: { readonly times?: true } = {}): Promise<string[]> {
    const found: string[] = []
    for await (const { key } of listAll(driver, '', options)) found.push(key)
    return found
  }

  it('strays, the driver’s own files and lost+found are never listed', async () => {
    for (const path of ['lost+found', 'other', 'data/.hidden', 'tags/r/t', 'blobs/sha256']) {
      mkdirSync(inFolder(path), { recursive: true })
    }
    for (const path of [
      'readme',
      '.DS_Store',
      'data/.nfs0001',
      'data/a b',
      'data/ü',
      'tags/file',
      'tags/r/file',
      'blobs/sha256/x',
    ]) {
      writeFileSync(inFolder(path), 'stray')
    }
    symlinkSync(inFolder('readme'), inFolder('data/link'))
    writeFileSync(inFolder('tags/r/t/.nfs0001'), 'kept open by NFS')
    await driver.write('tags/r/u', Buffer.from('x'))
    assert.deepEqual(await keys({ times: true }), ['tags/r/u'])
    assert.deepEqual((await driver.list('', { limit: 9, delimiter: '/' })).entries, [{ key: 'tags/' }])
    assert.equal(await driver.read('tags/r/t'), undefined)
    assert.equal(await driver.write('tags/r/t', Buffer.from('y'), { ifAbsent: true }), 'written')
    assert.deepEqual(await keys(), ['tags/r/t', 'tags/r/u'])
    assert.equal(await driver.remove('tags/r/t'), 'removed')
    await driver.remove('tags/r/u')
    assert.deepEqual(await keys({ times: true }), [])
    await rm(inFolder('tags/r'), { recursive: true })
  })

  it('an older file of a record is never read and goes with the first look', async () => {
    await driver.write('tags/old/t', Buffer.from('first'))
    const version = (await driver.stat('tags/old/t'))?.version ?? ''
    writeFileSync(inFolder('tags/old/t', '0000000000000000-aaaa'), 'older')
    const other = await openFolder(inFolder())
    assert.equal((await other.read('tags/old/t'))?.bytes.toString(), 'first')
    assert.deepEqual(
      (await rawTree(inFolder('tags/old'))).filter((path) => path.includes('aaaa')),
      [],
    )
    assert.equal(await driver.remove('tags/old/t', { ifUnchanged: version }), 'removed')
  })

  it('an empty directory is no key; a list with times removes it', async () => {
    for (const path of ['data/empty/deeper', 'tags/empty/t', 'blobs/sha256/4f/h/r', 'tags/none']) {
      mkdirSync(inFolder(path), { recursive: true })
    }
    assert.equal(await driver.read('tags/empty/t'), undefined)
    assert.equal(await driver.read('data/empty'), undefined)
    assert.deepEqual((await driver.list('data/', { limit: 9, delimiter: '/' })).entries, [])
    assert.deepEqual(await keys({ times: true }), [])
    const tree = await rawTree(inFolder())
    assert.deepEqual(
      tree.filter((path) => /empty|none|4f\/h/.test(path)),
      [],
    )
    assert.ok(tree.includes('blobs/sha256/4f/'), 'the first directories of a record stay')
  })

  it('a candidate of a killed process does not keep others from creating the record', async () => {
    mkdirSync(inFolder('tags/r/c'), { recursive: true })
    writeFileSync(inFolder('tags/r/c/.c-dead'), 'never finished')
    let elapsed = 0
    const patient = await openFolder(inFolder(), { elapsed: () => (elapsed += 300), random: () => 0 })
    assert.equal(await patient.write('tags/r/c', Buffer.from('x'), { ifAbsent: true }), 'written')
    assert.deepEqual(
      (await rawTree(inFolder('tags/r/c'))).filter((path) => path.startsWith('.c-')),
      [],
    )
    await driver.remove('tags/r/c')
  })

  it('waiting for a candidate can be aborted and leaves nothing', async () => {
    mkdirSync(inFolder('tags/r/c'), { recursive: true })
    writeFileSync(inFolder('tags/r/c/.c-alive'), 'at work')
    const before = await rawTree(inFolder())
    const controller = new AbortController()
    const patient = await openFolder(inFolder(), {
      random: () => {
        controller.abort(new Error('enough'))
        return 0
      },
    })
    const creating = patient.write('tags/r/c', Buffer.from('x'), { ifAbsent: true, signal: controller.signal })
    await assert.rejects(creating, /enough/)
    assert.deepEqual(await rawTree(inFolder()), before)
    assert.deepEqual(await keys({ times: true }), [])
  })

  it('temporary files go when they are old, and only then', async () => {
    writeFileSync(inFolder('.t/left'), 'by a kill')
    const careful = await openFolder(inFolder())
    assert.equal(await careful.tidy(), 0)
    assert.equal(await driver.tidy(), 1)
    assert.deepEqual(await rawTree(inFolder('.t')), [])
  })

  it('a body whose temporary file was tidied away says so, and leaves nothing', async () => {
    const writer = await driver.writeStream('data/body/a')
    await writer.write(Buffer.from('x'))
    assert.equal(await driver.tidy(), 1)
    await assert.rejects(writer.seal(), (error) => error instanceof StorageError && error.reason === 'unavailable')
    assert.deepEqual(await keys(), [])
    assert.deepEqual(await rawTree(inFolder('data')), ['.hidden/', '.nfs0001', 'a b', 'link', 'ü'])
  })

  it('a folder that vanished is no empty store', async () => {
    await rename(inFolder(), join(folder.root, 'elsewhere'))
    mkdirSync(inFolder())
    const unavailable = (error: unknown) => error instanceof StorageError && error.reason === 'unavailable'
    for (const action of [
      () => driver.read('data/a/b'),
      () => driver.read('tags/r/t'),
      () => driver.stat('data/a/b'),
      () => driver.open('data/a/b', { start: 0, end: 0 }),
      () => driver.write('data/a/b', Buffer.from('x')),
      () => driver.writeStream('data/a/b'),
      () => driver.promote('pushes/p/e', 'tags/r/t'),
      () => driver.remove('data/a/b'),
      () => driver.remove('tags/r/t'),
      () => driver.list('tags/', { limit: 1 }),
      () => driver.tidy(),
    ]) {
      await assert.rejects(action, unavailable)
    }
    assert.deepEqual(await rawTree(inFolder()), [])
    await rm(inFolder(), { recursive: true })
    await rename(join(folder.root, 'elsewhere'), inFolder())
  })
})

describe('kept directory listings', () => {
  it('are used while the directory is unchanged, and not before it is settled', async () => {
    const folder = await createFolder()
    try {
      let reads = 0
      let later = 0
      const quick = createQuickCalls()
      const driver = await openFolder(folder.root, {
        now: () => Date.now() + later,
        calls: {
          ...quick,
          readEntries(...args) {
            reads++
            return quick.readEntries(...args)
          },
        },
      })
      await driver.write('data/a', Buffer.from('x'))
      const list = async () => {
        reads = 0
        const { entries } = await driver.list('data/', { limit: 9 })
        return { names: entries.map(({ key }) => key), reads }
      }
      assert.deepEqual(await list(), { names: ['data/a'], reads: 1 })
      assert.deepEqual(await list(), { names: ['data/a'], reads: 1 })
      later = 3000
      assert.deepEqual(await list(), { names: ['data/a'], reads: 1 })
      assert.deepEqual(await list(), { names: ['data/a'], reads: 0 })
      await driver.write('data/b', Buffer.from('x'))
      assert.deepEqual(await list(), { names: ['data/a', 'data/b'], reads: 1 })
    } finally {
      await folder.remove()
    }
  })
})
