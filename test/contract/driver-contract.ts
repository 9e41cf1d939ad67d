/** What every storage driver promises (src/storage/driver.ts), as one suite. */
import assert from 'node:assert/strict'
import { PassThrough, Writable } from 'node:stream'
import { after, before, beforeEach, describe, it } from 'node:test'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { describeListing } from './listing-contract.ts'
import { describeRefusals } from './refusals-contract.ts'
import { collect, failsWithoutTrace, type Subject, text } from './subject.ts'

const mebibyte = 1024 * 1024
const record = 'tags/library+/latest'
const deepRecord = 'blobs/sha256/4f/4f00/library+'

/** Runs the suite against a driver, which must be empty. */
export function describeDriver(name: string, create: () => Promise<Subject>): void {
  describe(`storage driver: ${name}`, () => {
    let subject: Subject
    const get = () => subject
    before(async () => {
      subject = await create()
    })
    after(async () => {
      await subject.remove()
    })
    beforeEach(async () => {
      for await (const { key } of listAll(subject.driver, '')) if (key !== 'berth') await subject.driver.remove(key)
    })
    describeValues(get)
    describeWriters(get)
    describeBigValues(get)
    describeRecords(get)
    describeRefusals(get)
    describeListing(get)
    it('can be emptied, beside its single', async () => {
      assert.deepEqual(await collect(subject.driver), ['berth'])
    })
  })
}

/** The version of a key that must be there. */
async function versionOf(driver: Driver, key: string): Promise<string> {
  const found = await driver.stat(key)
  assert.ok(found !== undefined, `${key} is absent`)
  return found.version
}

function describeValues(get: () => Subject): void {
  it('writes an empty value over another, and another over it', async () => {
    const { driver } = get()
    for (const text of ['', 'x', '', '']) {
      assert.equal(await driver.write('data/e/over', Buffer.from(text)), 'written')
      assert.equal((await driver.read('data/e/over'))?.bytes.toString(), text)
    }
    assert.equal(await driver.write('data/e/over', Buffer.alloc(0), { ifAbsent: true }), 'exists')
  })

  it('gives an empty value that is written again a new time', async () => {
    const { driver } = get()
    const write = async (): Promise<number> => {
      await driver.write('data/e/again', Buffer.alloc(0), { durable: false })
      return (await driver.stat('data/e/again'))?.modified ?? 0
    }
    const first = await write()
    // The clock of a store may have steps of some milliseconds.
    const end = performance.now() + 3000
    while ((await write()) === first) assert.ok(performance.now() < end, 'its time stays the same')
  })

  it('returns what was written, whole, also an empty value', async () => {
    const { driver } = get()
    for (const value of ['', 'x', 'y'.repeat(70_000)]) {
      assert.equal(await driver.write('data/a/b', Buffer.from(value)), 'written')
      assert.equal(await text(driver, 'data/a/b'), value)
      assert.equal((await driver.stat('data/a/b'))?.size, value.length)
    }
  })

  it('says undefined to what is absent, also below and above a key', async () => {
    const { driver } = get()
    await driver.write('data/a/b', Buffer.from('x'))
    for (const key of ['data/a', 'data/a/b/c', 'data/x', record, deepRecord]) {
      assert.equal(await driver.read(key), undefined)
      assert.equal(await driver.stat(key), undefined)
      assert.equal(await driver.open(key, { start: 0, end: 1 }), undefined)
      assert.equal(await driver.remove(key), 'absent')
    }
  })

  it('keeps what it was given, not the buffer', async () => {
    const { driver } = get()
    const bytes = Buffer.from('before')
    await driver.write('data/a/b', bytes)
    bytes.fill('x')
    const read = await driver.read('data/a/b')
    read?.bytes.fill('y')
    assert.equal(await text(driver, 'data/a/b'), 'before')
  })

  it('refuses to read a value whole that is too large for that', async () => {
    const { driver } = get()
    await driver.write('data/a/b', Buffer.alloc(4 * mebibyte + 1))
    await assert.rejects(driver.read('data/a/b'), /4194305 bytes/)
    assert.equal((await driver.stat('data/a/b'))?.size, 4 * mebibyte + 1)
  })

  it('writes a single and never removes it', async () => {
    const { driver } = get()
    await driver.write('berth', Buffer.from('1'), { ifAbsent: true })
    assert.equal(await driver.write('berth', Buffer.from('2'), { ifAbsent: true }), 'exists')
    assert.equal(await text(driver, 'berth'), '1')
    await assert.rejects(driver.remove('berth'), /never removed/)
  })

  for (const key of ['data/once/key', record, deepRecord]) {
    it(`writes ${key} only if absent, once`, async () => {
      const { driver } = get()
      assert.equal(await driver.write(key, Buffer.from('first'), { ifAbsent: true }), 'written')
      assert.equal(await driver.write(key, Buffer.from('second'), { ifAbsent: true }), 'exists')
      assert.equal(await text(driver, key), 'first')
      assert.equal(await driver.remove(key), 'removed')
      assert.equal(await driver.write(key, Buffer.from('third'), { ifAbsent: true }), 'written')
      assert.equal(await text(driver, key), 'third')
    })

    it(`lets one of many writers create ${key}`, async () => {
      const { driver } = get()
      const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
      const results = await Promise.all(
        names.map((name) => driver.write(key, Buffer.from(name), { ifAbsent: true, durable: false })),
      )
      assert.deepEqual(results.filter((result) => result === 'written').length, 1)
      assert.equal(await text(driver, key), names[results.indexOf('written')])
      assert.deepEqual(await collect(driver, key.slice(0, key.lastIndexOf('/') + 1)), [key])
    })
  }

  it('has times that do not go back, and a time for every answer', async () => {
    const { driver } = get()
    for (const key of ['data/t/1', 'data/t/2', 'data/t/3']) await driver.write(key, Buffer.from(key))
    const { entries, now } = await driver.list('data/t/', { limit: 10, times: true })
    const times = entries.map(({ modified }) => modified ?? 0)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    for (const { key, modified, size } of entries) {
      const stat = await driver.stat(key)
      assert.deepEqual([modified, size], [stat?.modified, stat?.size])
    }
    assert.ok(now >= (times.at(-1) ?? Infinity) - get().clockStepMs)
  })

  it('makes a key younger by promoting it', async () => {
    const { driver } = get()
    await driver.write('pushes/p/entry', Buffer.from('x'))
    const entry = await driver.stat('pushes/p/entry')
    await driver.promote('pushes/p/entry', record)
    assert.ok(((await driver.stat(record))?.modified ?? 0) >= (entry?.modified ?? Infinity))
  })
}

function describeWriters(get: () => Subject): void {
  it('takes a body in chunks of any size and shows it when it is sealed', async () => {
    const { driver } = get()
    const writer = await driver.writeStream('data/body/0-a')
    const chunks = [1, 0, 65_536, mebibyte, 3, 2 * mebibyte + 1, 100].map((size, index) =>
      Buffer.alloc(size, index + 1),
    )
    for (const chunk of chunks) await writer.write(chunk)
    assert.deepEqual(await collect(driver, 'data/'), [])
    await writer.seal()
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    const opened = await driver.open('data/body/0-a', { start: 0, end: size })
    assert.ok((await copied(opened)).equals(Buffer.concat(chunks)))
  })

  it('takes a body of ten thousand small chunks', async () => {
    const { driver } = get()
    const writer = await driver.writeStream('data/body/0-a')
    for (let i = 0; i < 10_000; i++) await writer.write(Buffer.alloc(150, i % 251))
    await writer.seal()
    const expected = Buffer.concat(Array.from({ length: 10_000 }, (_, i) => Buffer.alloc(150, i % 251)))
    assert.ok((await driver.read('data/body/0-a'))?.bytes.equals(expected))
  })

  it('has what a chunk held when it says that it is written, whatever becomes of the chunk then', async () => {
    const { driver } = get()
    const given: Uint8Array[] = []
    const written: Uint8Array[] = []
    const onWritten = (chunk: Uint8Array): void => {
      written.push(chunk)
      chunk.fill(0)
    }
    const writer = await driver.writeStream('data/body/0-a', { onWritten })
    const expected = Buffer.alloc(5 * mebibyte, 'a body that is looked at afterwards, ')
    for (let start = 0; start < expected.length; start += 100_000) {
      const chunk = Buffer.from(expected.subarray(start, start + 100_000))
      given.push(chunk)
      await writer.write(chunk)
    }
    await writer.seal()
    // By identity, each at most once, in order. A driver that keeps chunks tells of none.
    const order = written.map((chunk) => given.indexOf(chunk))
    assert.ok(order.every((at, i) => at >= 0 && (i === 0 || at > (order[i - 1] ?? 0))))
    assert.ok((await copied(await driver.open('data/body/0-a', { start: 0, end: expected.length }))).equals(expected))
  })

  it('seals an empty body', async () => {
    const { driver } = get()
    await (await driver.writeStream('data/body/0-a')).seal()
    assert.equal((await driver.stat('data/body/0-a'))?.size, 0)
  })

  it('forgets a body that is discarded, at any point', async () => {
    const subject = get()
    const before = await subject.rawTree()
    for (const size of [0, 10, 3 * mebibyte]) {
      const writer = await subject.driver.writeStream('data/body/0-a')
      await writer.write(Buffer.alloc(size))
      await writer.discard()
      await writer.discard()
      await assert.rejects(async () => writer.write(Buffer.from('more')), /ended/)
      await assert.rejects(writer.seal(), /ended/)
    }
    assert.deepEqual(await subject.rawTree(), before)
    assert.equal(await subject.driver.stat('data/body/0-a'), undefined)
  })

  it('leaves nothing of a body that was aborted', async () => {
    const subject = get()
    await failsWithoutTrace(subject, /enough/, async () => {
      const controller = new AbortController()
      const writer = await subject.driver.writeStream('data/body/0-a', { signal: controller.signal })
      await writer.write(Buffer.alloc(3 * mebibyte))
      controller.abort(new Error('enough'))
      await assert.rejects(async () => writer.write(Buffer.alloc(3)), /enough/)
      await writer.seal()
    })
  })
}

async function copied(opened: Awaited<ReturnType<Driver['open']>>): Promise<Buffer> {
  assert.ok(opened !== undefined, 'nothing to copy')
  const chunks: Buffer[] = []
  const target = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(Buffer.from(chunk))
      done()
    },
  })
  await opened.copyTo(target)
  assert.equal(target.writable, true, 'the copy must not end its target')
  return Buffer.concat(chunks)
}

function describeBigValues(get: () => Subject): void {
  it('copies any range', async () => {
    const { driver } = get()
    const size = 3 * mebibyte + 77
    const bytes = Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 12)) & 0xff))
    await driver.write('data/big/0-a', bytes)
    const ranges: [number, number][] = [
      [0, 0],
      [0, 1],
      [size - 1, size],
      [size, size],
      [1, mebibyte],
      [mebibyte - 1, mebibyte + 1],
      [12_345, 2 * mebibyte + 54_321],
      [0, mebibyte],
      [0, 2 * mebibyte],
      [0, size],
    ]
    for (const [start, end] of ranges) {
      const opened = await driver.open('data/big/0-a', { start, end })
      assert.equal(opened?.size, end - start)
      assert.ok((await copied(opened)).equals(bytes.subarray(start, end)), `range ${start} to ${end}`)
    }
  })

  it('refuses a range outside of the value', async () => {
    const { driver } = get()
    await driver.write('data/big/0-a', Buffer.from('12345'))
    for (const [start, end] of [
      [0, 6],
      [-1, 3],
      [4, 3],
      [6, 6],
      [0.5, 2],
    ] as const) {
      await assert.rejects(driver.open('data/big/0-a', { start, end }), /range/)
    }
  })

  it('copies to the end what is removed and replaced meanwhile', async () => {
    const { driver } = get()
    const bytes = Buffer.alloc(3 * mebibyte, 'a')
    await driver.write('data/big/0-a', bytes)
    const opened = await driver.open('data/big/0-a', { start: 0, end: bytes.length })
    await driver.remove('data/big/0-a')
    await driver.write('data/big/0-a', Buffer.from('other'))
    assert.ok((await copied(opened)).equals(bytes))
  })

  it('closes without a copy, twice, and after one', async () => {
    const { driver } = get()
    await driver.write('data/big/0-a', Buffer.from('12345'))
    const opened = await driver.open('data/big/0-a', { start: 0, end: 5 })
    await opened?.close()
    await opened?.close()
    const other = await driver.open('data/big/0-a', { start: 0, end: 5 })
    assert.equal((await copied(other)).toString(), '12345')
    await other?.close()
  })

  /** Opens 3 MiB, and copies to a target that takes one chunk and then hangs until `act` does something about it. */
  async function copyStuck(act: (target: Writable, abort: AbortController) => void): Promise<void> {
    const { driver } = get()
    await driver.write('data/big/0-a', Buffer.alloc(3 * mebibyte))
    const opened = await driver.open('data/big/0-a', { start: 0, end: 3 * mebibyte })
    const controller = new AbortController()
    const target: Writable = new Writable({
      write() {
        setImmediate(() => act(target, controller))
      },
    })
    await opened?.copyTo(target, { signal: controller.signal })
  }

  it('rejects a copy whose target closes, fails, or is closed already', async () => {
    await assert.rejects(
      copyStuck((target) => target.destroy()),
      /target closed/,
    )
    await assert.rejects(
      copyStuck((target) => target.destroy(new Error('reset by peer'))),
      /reset by peer/,
    )
    const { driver } = get()
    const opened = await driver.open('data/big/0-a', { start: 0, end: 10 })
    const closed = new PassThrough()
    closed.destroy()
    await assert.rejects(async () => opened?.copyTo(closed), /target closed/)
  })

  it('rejects a copy that is aborted, also while it waits for the target', async () => {
    await assert.rejects(
      copyStuck((_, controller) => controller.abort(new Error('enough'))),
      /enough/,
    )
  })
}

function describeRecords(get: () => Subject): void {
  for (const key of [record, deepRecord]) {
    it(`promotes an entry to ${key}: the record appears and the entry is gone`, async () => {
      const subject = get()
      const { driver } = subject
      const before = await subject.rawTree()
      await driver.write('pushes/p/entry', Buffer.from('one'), { durable: false })
      assert.equal(await driver.promote('pushes/p/entry', key), 'done')
      assert.equal(await text(driver, key), 'one')
      assert.equal(await driver.stat('pushes/p/entry'), undefined)
      const first = await versionOf(driver, key)

      await driver.write('pushes/p/entry', Buffer.from('two'))
      assert.equal(await driver.promote('pushes/p/entry', key), 'done')
      assert.equal(await text(driver, key), 'two')
      assert.notEqual(await versionOf(driver, key), first)
      assert.equal((await driver.read(key))?.version, await versionOf(driver, key))

      assert.equal(await driver.remove(key), 'removed')
      // The first directories of a record stay for good.
      assert.deepEqual(
        (await subject.rawTree()).filter((name) => !/^blobs\/sha256\/(4f\/)?$/.test(name)),
        before.filter((name) => !/^blobs\/sha256\/(4f\/)?$/.test(name)),
      )
    })

    it(`promotes only what is there to ${key}`, async () => {
      const subject = get()
      await subject.driver.write(key, Buffer.from('old'))
      await subject.driver.write('pushes/p/other', Buffer.from('x'))
      const before = [await collect(subject.driver), await subject.rawTree()]
      assert.equal(await subject.driver.promote('pushes/p/entry', key), 'refused')
      assert.equal(await subject.driver.promote('pushes/p/entry', `${key}2`), 'refused')
      assert.deepEqual([await collect(subject.driver), await subject.rawTree()], before)
      assert.equal(await text(subject.driver, key), 'old')
    })

    it(`removes ${key} only if it is unchanged`, async () => {
      const { driver } = get()
      await driver.write(key, Buffer.from('one'))
      const first = await versionOf(driver, key)
      await driver.write(key, Buffer.from('one'))
      assert.equal(await driver.remove(key, { ifUnchanged: first }), 'changed')
      assert.equal(await text(driver, key), 'one')
      assert.equal(await driver.remove(key, { ifUnchanged: await versionOf(driver, key) }), 'removed')
      assert.equal(await driver.remove(key, { ifUnchanged: first }), 'absent')
      await driver.write(key, Buffer.from('one'), { ifAbsent: true })
      assert.equal(await driver.remove(key, { ifUnchanged: first }), 'changed')
    })

    it(`leaves one of many promotes to ${key}, whole`, async () => {
      const { driver } = get()
      const values = Array.from({ length: 8 }, (_, index) => `value ${index} `.repeat(index + 1))
      await Promise.all(values.map((value, index) => driver.write(`pushes/p/${index}`, Buffer.from(value))))
      const results = await Promise.all(values.map((_, index) => driver.promote(`pushes/p/${index}`, key)))
      assert.deepEqual(new Set(results), new Set(['done']))
      const value = await text(driver, key)
      assert.ok(values.includes(value ?? ''), `read ${value}`)
      assert.deepEqual(await collect(driver, 'pushes/'), [])
      assert.equal(await text(driver, key), value)
    })
  }

  describePromoteRaces(get)
}

function describePromoteRaces(get: () => Subject): void {
  it('promotes an entry that is taken back at the same time, or refuses', async () => {
    const { driver } = get()
    for (let round = 0; round < 20; round++) {
      await driver.write('pushes/p/entry', Buffer.from('x'), { durable: false })
      const removing = () => driver.remove('pushes/p/entry')
      // A store that copies may find its source gone in the middle, and fails.
      const promoting = () => driver.promote('pushes/p/entry', record).catch(unlessMoved(driver))
      const [removed, promoted] =
        round % 2 === 0
          ? await Promise.all([removing(), promoting()])
          : await Promise.all([promoting(), removing()]).then(([done, taken]) => [taken, done] as const)
      // One that copies may do so before the entry goes: then both have happened, and the sweep waits for it (`promotion`).
      if (driver.promotion === 'move') assert.equal(removed === 'removed', promoted === 'refused')
      if (promoted !== 'failed') assert.equal((await driver.stat(record)) !== undefined, promoted === 'done')
      assert.equal(await driver.stat('pushes/p/entry'), undefined)
      await driver.remove(record)
    }
  })

  it('refuses to promote what was taken back before', async () => {
    const { driver } = get()
    for (let round = 0; round < 5; round++) {
      await driver.write('pushes/p/entry', Buffer.from('x'), { durable: false })
      await driver.remove('pushes/p/entry')
      const tags = ['a', 'b', 'c'].map((tag) => driver.promote('pushes/p/entry', `tags/library+/${tag}`))
      assert.deepEqual(await Promise.all(tags), ['refused', 'refused', 'refused'])
      assert.deepEqual(await collect(driver, 'tags/'), [])
    }
  })

  it('promotes one entry once, however many try', async (t) => {
    const { driver } = get()
    if (driver.promotion === 'copy')
      return t.skip('a copy does not take its entry away: an entry has one process that promotes it')
    await driver.write('pushes/p/entry', Buffer.from('x'))
    const targets = ['a', 'b', 'c', 'd'].map((tag) => `tags/library+/${tag}`)
    const results = await Promise.all(targets.map((target) => driver.promote('pushes/p/entry', target)))
    assert.equal(results.filter((result) => result === 'done').length, 1)
    assert.deepEqual(await collect(driver, 'tags/'), [targets[results.indexOf('done')]])
  })
}

/** For a promote that failed: what a driver that moves never does here. */
function unlessMoved({ promotion }: Driver): (error: unknown) => 'failed' {
  return (error) => {
    if (promotion === 'move' || !(error instanceof StorageError)) throw error
    return 'failed'
  }
}
