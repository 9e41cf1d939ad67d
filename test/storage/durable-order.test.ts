/** In which order things become durable: what power loss may leave depends on it, and only on it. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Driver } from '../../src/storage/driver.ts'
import type { FilesystemOptions } from '../../src/storage/filesystem/driver.ts'
import { createTracedCalls } from './faulty-calls.ts'
import { createFolder, openFolder } from './folder.ts'

const value = Buffer.from('x')

/** What `act` changes and syncs, in order; syncs that ran together are sorted, random names are left out. */
async function traceOf(
  act: (driver: Driver) => Promise<unknown>,
  prepare: (driver: Driver) => Promise<unknown> = async () => undefined,
  options: Partial<FilesystemOptions> = {},
): Promise<string[]> {
  const folder = await createFolder()
  try {
    const { calls, trace } = createTracedCalls(folder.root)
    const driver = await openFolder(folder.root, { calls, createId: randomUUID, ...options })
    // The fixed directories are synced once, at the first write of each.
    await driver.write('data/first/a', value)
    await driver.write('tags/first/a', value)
    await driver.write('blobs/sha256/4f/first/a', value)
    await prepare(driver)
    trace.length = 0
    await act(driver)
    return sortSyncs(trace.map((line) => line.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '*')))
  } finally {
    await folder.remove()
  }
}

async function stream(driver: Driver): Promise<void> {
  const writer = await driver.writeStream('data/i/s')
  await writer.write(value)
  await writer.seal()
}

function sortSyncs(trace: readonly string[]): string[] {
  const sorted: string[] = []
  let run: string[] = []
  for (const line of [...trace, '']) {
    if (/^sync(Data)? /.test(line)) {
      run.push(line)
      continue
    }
    sorted.push(...run.sort(), line)
    run = []
  }
  return sorted.slice(0, -1)
}

const newest = 'tags/r/t/0000000000000002-*'
const older = 'tags/r/t/0000000000000001-*'

describe('durable order', () => {
  it('of a new key: bytes, name, and the names of all directories above, also those that were found', async () => {
    assert.deepEqual(await traceOf((driver) => driver.write('data/i/s', value)), [
      'create .t/*',
      'write .t/*',
      'syncData .t/*',
      'mkdir data/i',
      'rename .t/* data/i/s',
      'sync data',
      'sync data/i',
    ])
    const found = await traceOf(
      (driver) => driver.write('data/i/s2', value),
      (driver) => driver.write('data/i/s1', value, { durable: false }),
    )
    assert.deepEqual(found.slice(-3), ['rename .t/* data/i/s2', 'sync data', 'sync data/i'])
  })

  it('of an empty key: as of any other', async () => {
    assert.deepEqual(await traceOf((driver) => driver.write('data/i/s', Buffer.alloc(0))), [
      'create .t/*',
      'syncData .t/*',
      'mkdir data/i',
      'rename .t/* data/i/s',
      'sync data',
      'sync data/i',
    ])
  })

  it('of removals that are settled: one sync for all, except on a network mount, where each has its own', async () => {
    const keys = ['data/i/s', 'data/i/t', 'data/j/s']
    const write = async (driver: Driver) => {
      for (const key of keys) await driver.write(key, value)
    }
    const act = async (driver: Driver) => {
      for (const key of keys) await driver.remove(key, { durable: false })
      await driver.settle('data/')
    }
    const removed = ['unlink data/i/s', 'unlink data/i/t', 'rmdir data/i', 'unlink data/j/s']
    assert.deepEqual(await traceOf(act, write), [...removed, 'rmdir data/j', 'sync data'])
    const network = await traceOf(act, write, { mount: 'network' })
    assert.equal(network.at(-1), 'sync data')
  })

  it('of a streamed body, whose key nobody knows before: bytes and names together', async () => {
    assert.deepEqual(await traceOf(stream), [
      'create .t/*',
      'write .t/*',
      'mkdir data/i',
      'rename .t/* data/i/s',
      'sync data',
      'sync data/i',
      'syncData .t/*',
    ])
  })

  it('of a key that need not survive: nothing is synced, except on a network mount', async () => {
    const write = (driver: Driver) => driver.write('data/i/s', value, { durable: false })
    assert.deepEqual(await traceOf(write), ['create .t/*', 'write .t/*', 'mkdir data/i', 'rename .t/* data/i/s'])
    const network = await traceOf(write, undefined, { mount: 'network' })
    assert.deepEqual(network.filter((line) => line.startsWith('sync')).length, 3)
  })

  it('of a removal that need not survive: nothing is synced, except on a network mount', async () => {
    const write = (driver: Driver) => driver.write('data/i/s', value)
    const remove = (driver: Driver) => driver.remove('data/i/s', { durable: false })
    assert.deepEqual(await traceOf(remove, write), ['unlink data/i/s', 'rmdir data/i'])
    const network = await traceOf(remove, write, { mount: 'network' })
    assert.ok(network.some((line) => line.startsWith('sync')))
  })

  it('of a key only if absent: linked when it is whole; "exists" is durable, too', async () => {
    const create = (driver: Driver) => driver.write('data/i/s', value, { ifAbsent: true })
    assert.deepEqual(await traceOf(create), [
      'create .t/*',
      'write .t/*',
      'syncData .t/*',
      'mkdir data/i',
      'link .t/* data/i/s',
      'sync data',
      'sync data/i',
      'unlink .t/*',
    ])
    assert.deepEqual(await traceOf(create, create), ['sync data', 'sync data/i'])
  })

  it('of a promote: the bytes of the entry, the new name, and only then is the older one unlinked', async () => {
    const promote = async (driver: Driver) => {
      await driver.write('pushes/p/entry', value, { durable: false })
      return () => driver.promote('pushes/p/entry', 'tags/r/t')
    }
    let again: (() => Promise<unknown>) | undefined
    const trace = await traceOf(
      async () => again?.(),
      async (driver) => {
        await (
          await promote(driver)
        )()
        again = await promote(driver)
      },
    )
    assert.deepEqual(trace, [
      'syncData pushes/p/entry',
      `rename pushes/p/entry ${newest}`,
      'sync tags',
      'sync tags/r',
      'sync tags/r/t',
      `unlink ${older}`,
      'rmdir pushes/p',
    ])
  })

  it('of a record only if absent: a candidate, then the first file', async () => {
    const trace = await traceOf((driver) => driver.write('blobs/sha256/4f/h/r', value, { ifAbsent: true }))
    assert.deepEqual(trace, [
      'create .t/*',
      'write .t/*',
      'syncData .t/*',
      'mkdir blobs/sha256/4f/h',
      'mkdir blobs/sha256/4f/h/r',
      'link .t/* blobs/sha256/4f/h/r/.c-*',
      'rename blobs/sha256/4f/h/r/.c-* blobs/sha256/4f/h/r/0000000000000000-*',
      'sync blobs/sha256/4f',
      'sync blobs/sha256/4f/h',
      'sync blobs/sha256/4f/h/r',
      'unlink .t/*',
    ])
  })

  it('of the first key in a fixed directory: the names above it, once', async () => {
    const write = (driver: Driver) => driver.write('blobs/sha256/5a/h/r', value)
    const syncs = (trace: readonly string[]) => trace.filter((line) => line.startsWith('sync '))
    assert.deepEqual(syncs(await traceOf(write)), [
      'sync .',
      'sync blobs',
      'sync blobs/sha256',
      'sync blobs/sha256/5a',
      'sync blobs/sha256/5a/h',
      'sync blobs/sha256/5a/h/r',
    ])
    assert.equal(syncs(await traceOf(write, write)).length, 3)
  })

  it('of a removal: the lowest directory that stays is synced last', async () => {
    const trace = await traceOf(
      (driver) => driver.remove('tags/r/t'),
      (driver) => driver.write('tags/r/t', value),
    )
    assert.deepEqual(trace, [`unlink ${older}`, 'rmdir tags/r/t', 'rmdir tags/r', 'sync tags'])
    const plain = await traceOf(
      (driver) => driver.remove('data/i/s'),
      async (driver) => {
        await driver.write('data/i/s', value)
        await driver.write('data/i/s2', value)
      },
    )
    assert.deepEqual(plain, ['unlink data/i/s', 'sync data/i'])
  })

  it('of many writes at once: they share the syncs of a directory', async () => {
    const trace = await traceOf((driver) =>
      Promise.all(Array.from({ length: 50 }, (_, index) => driver.write(`data/i/${index}`, value))),
    )
    const syncs = trace.filter((line) => line === 'sync data').length
    assert.ok(syncs < 50, `${syncs} syncs of one directory for 50 writes`)
    // Each sync begins after the rename that it is for: the last one after all of them.
    assert.ok(trace.lastIndexOf('sync data/i') > trace.findLastIndex((line) => line.startsWith('rename')))
  })
})

describe('durable order where the file system keeps the order of names', () => {
  const inOrder = { keepsNameOrder: true }

  it('of a key: bytes, name, and the directory of the name, which brings those above', async () => {
    assert.deepEqual(await traceOf((driver) => driver.write('data/i/s', value), undefined, inOrder), [
      'create .t/*',
      'write .t/*',
      'syncData .t/*',
      'mkdir data/i',
      'rename .t/* data/i/s',
      'sync data/i',
    ])
  })

  it('of an empty key: its name is all of it; over another it is moved', async () => {
    const write = (driver: Driver) => driver.write('data/i/s', Buffer.alloc(0))
    assert.deepEqual(await traceOf(write, undefined, inOrder), ['mkdir data/i', 'create data/i/s', 'sync data/i'])
    const over = await traceOf(write, (driver) => driver.write('data/i/s', value), inOrder)
    assert.deepEqual(over, ['create .t/*', 'rename .t/* data/i/s', 'sync data/i'])
  })

  it('of a streamed body: the file, after its move', async () => {
    assert.deepEqual(await traceOf(stream, undefined, inOrder), [
      'create .t/*',
      'write .t/*',
      'mkdir data/i',
      'rename .t/* data/i/s',
      'sync .t/*',
    ])
  })

  it('of a promote: the bytes of the entry, the new name, and only then is the older one unlinked', async () => {
    const enter = (driver: Driver) => driver.write('pushes/p/entry', value, { durable: false })
    const trace = await traceOf(
      (driver) => driver.promote('pushes/p/entry', 'tags/r/t'),
      async (driver) => {
        await driver.write('tags/r/t', value)
        await enter(driver)
      },
      inOrder,
    )
    assert.deepEqual(trace, [
      'syncData pushes/p/entry',
      `rename pushes/p/entry ${newest}`,
      'sync tags/r/t',
      `unlink ${older}`,
      'rmdir pushes/p',
    ])
  })

  it('never of a network mount', async () => {
    const trace = await traceOf(stream, undefined, { ...inOrder, mount: 'network' })
    assert.deepEqual(
      trace.filter((line) => line.startsWith('sync ')),
      ['sync data', 'sync data/i'],
    )
  })
})

describe('an entry that is written to be promoted', () => {
  const enter = (driver: Driver) => driver.write('pushes/p/entry', value, { durable: false, toPromote: true })

  it('is synced once, before its promote asks', async () => {
    const trace = await traceOf(async (driver) => {
      await enter(driver)
      await driver.promote('pushes/p/entry', 'tags/r/t')
    })
    assert.deepEqual(
      trace.filter((line) => line.startsWith('syncData')),
      ['syncData pushes/p/entry'],
    )
    assert.ok(
      trace.indexOf('syncData pushes/p/entry') < trace.findIndex((line) => line.startsWith('rename pushes/p/entry')),
    )
  })

  it('is refused when it is gone, although it was synced', async () => {
    await traceOf(async (driver) => {
      await enter(driver)
      await driver.remove('pushes/p/entry')
      assert.equal(await driver.promote('pushes/p/entry', 'tags/r/t'), 'refused')
      assert.equal(await driver.read('tags/r/t'), undefined)
    })
  })

  it('is not promoted when its sync failed, however often that is tried: the system tells it only once', async () => {
    const folder = await createFolder()
    try {
      const { calls } = createTracedCalls(folder.root)
      let fails = 1
      const syncData = async (file: number): Promise<void> => {
        if (fails-- > 0) throw Object.assign(new Error('EIO'), { code: 'EIO' })
        return calls.syncData(file)
      }
      const driver = await openFolder(folder.root, { calls: { ...calls, syncData }, createId: randomUUID })
      await enter(driver)
      for (let i = 0; i < 2; i++) await assert.rejects(driver.promote('pushes/p/entry', 'tags/r/t'), /EIO/)
      assert.equal(await driver.read('tags/r/t'), undefined)
    } finally {
      await folder.remove()
    }
  })
})
