/** Opening a store, and what an operator is told when it cannot be used. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { keySpace } from '../../src/registry/layout.ts'
import { checkDriver } from '../../src/storage/check.ts'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { createLocalCalls } from '../../src/storage/filesystem/calls.ts'
import { openDriver } from '../../src/storage/open.ts'
import { createFolder, type Folder, openFolder, rawTree, reasonToSkipMounts } from './folder.ts'

const context = { keySpace, now: Date.now, createId: randomUUID }
const check = { keySpace, scratchPrefix: 'scratch/', createId: randomUUID }

describe('opening a store', () => {
  let folder: Folder
  before(async () => {
    folder = await createFolder()
  })
  after(() => folder.remove())

  it('makes the folder with its parents, and opens it again', async () => {
    const root = join(folder.root, 'new/deep')
    for (let time = 0; time < 2; time++) {
      const driver = await openDriver({ kind: 'filesystem', root, mount: 'local', ballastBytes: 0 }, context)
      await checkDriver(driver, check)
    }
    assert.deepEqual(
      (await rawTree(root)).filter((path) => path.includes('/') && !path.endsWith('/')),
      [],
    )
  })

  it('opens memory', async () => {
    await checkDriver(await openDriver({ kind: 'memory' }, context), check)
    const full = await openDriver({ kind: 'memory', maxBytes: 10 }, context)
    await full.write('data/a', Buffer.from('1234'))
    await assert.rejects(full.write('data/b', Buffer.alloc(0)), { reason: 'full' })
    assert.equal(await full.write('garbage/b', Buffer.alloc(0), { reserve: true }), 'written')
    await assert.rejects(checkDriver(full, check), /^StorageError: the store cannot be used: the memory store takes/)
  })

  it('refuses a folder with other things in it', async () => {
    await mkdir(join(folder.root, 'photos'))
    await writeFile(join(folder.root, 'photos/beach.jpg'), 'x')
    await assert.rejects(openFolder(join(folder.root, 'photos')), /holds something else \("beach\.jpg"\)/)
    assert.deepEqual(await rawTree(join(folder.root, 'photos')), ['beach.jpg'])
  })

  it('takes the root of a file system, which has a lost+found', async () => {
    await mkdir(join(folder.root, 'mounted/lost+found'), { recursive: true })
    await openFolder(join(folder.root, 'mounted'))
  })

  it('refuses a folder that is spread over two file systems', { skip: reasonToSkipMounts() }, async () => {
    const root = join(folder.root, 'spread')
    await mkdir(join(root, 'data'), { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', join(root, 'data')])
    try {
      await assert.rejects(
        openFolder(root),
        /\/data and .*\/\.t are on two file systems; the whole folder must be on one$/,
      )
    } finally {
      execFileSync('umount', [join(root, 'data')])
    }
  })

  it('says that a file is in the way', async () => {
    await writeFile(join(folder.root, 'file'), 'x')
    await assert.rejects(openFolder(join(folder.root, 'file')), /\/file is not a folder$/)
    await assert.rejects(
      openFolder(join(folder.root, 'file/below')),
      /cannot be created or written: a file is in its way$/,
    )
  })

  it('says that permission is denied', async () => {
    const root = join(folder.root, 'locked')
    await mkdir(root)
    await chmod(root, 0o500)
    // Root may write everywhere, so the refusal is played.
    const calls = {
      ...createLocalCalls(),
      async mkdir() {
        throw Object.assign(new Error('denied'), { code: 'EACCES', syscall: 'mkdir' })
      },
    }
    await assert.rejects(openFolder(join(root, 'store'), { calls }), {
      reason: 'unavailable',
      message: `the folder ${root}/store cannot be created or written: permission is denied`,
    })
  })

  it('opens what is read-only, and says so at the first write', async () => {
    const root = join(folder.root, 'sealed')
    await (await openFolder(root)).write('data/a', Buffer.from('x'))
    const readOnly = async () => {
      throw Object.assign(new Error('read-only'), { code: 'EROFS', syscall: 'open' })
    }
    const calls = { ...createLocalCalls(), mkdir: readOnly, create: readOnly, unlink: readOnly, rmdir: readOnly }
    const driver = await openFolder(root, { calls })
    assert.equal((await driver.read('data/a'))?.bytes.toString(), 'x')
    assert.equal((await driver.list('', { limit: 9, times: true })).entries.length, 1)
    await assert.rejects(driver.write('data/b', Buffer.from('x')), { reason: 'read-only' })
    await assert.rejects(driver.remove('data/a'), { reason: 'read-only' })
    await assert.rejects(openFolder(join(folder.root, 'absent'), { calls }), { reason: 'read-only' })
  })
})

describe('the start-up check', () => {
  async function broken(changes: (driver: Driver) => Partial<Driver>): Promise<Driver> {
    const driver = await openDriver({ kind: 'memory' }, context)
    return { ...driver, ...changes(driver) }
  }

  it('refuses a store that ignores "only if absent"', async () => {
    const driver = await broken((whole) => ({ write: (key, bytes) => whole.write(key, bytes) }))
    await assert.rejects(checkDriver(driver, check), /ignores "only if absent"/)
    assert.deepEqual((await driver.list('', { limit: 9 })).entries, [])
  })

  it('refuses a store that promotes what is not there', async () => {
    const driver = await broken(() => ({ promote: async () => 'done' }))
    await assert.rejects(checkDriver(driver, check), /promotes an entry that is not there/)
  })

  it('refuses a store that does not show what was written or removed', async () => {
    await assert.rejects(checkDriver(await broken(() => ({ read: async () => undefined })), check), /just written/)
    const stale = await broken(() => ({ list: async () => ({ entries: [], more: false, now: 0 }) }))
    await assert.rejects(checkDriver(stale, check), /does not list/)
    const keeping = await broken(() => ({ remove: async () => 'removed' }))
    await assert.rejects(checkDriver(keeping, check), /still shows/)
  })

  it('says why a store refuses', async () => {
    const driver = await broken(() => ({
      async write() {
        throw new StorageError('unavailable', 'no answer')
      },
    }))
    await assert.rejects(checkDriver(driver, check), {
      message: 'the store cannot be used: no answer',
      reason: 'unavailable',
    })
  })
})
