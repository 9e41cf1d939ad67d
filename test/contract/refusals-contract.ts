/** The part of the driver contract about calls that are refused, and leave nothing behind. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { failsWithoutTrace, type Subject, text } from './subject.ts'

const record = 'tags/library+/latest'
const deepRecord = 'blobs/sha256/4f/4f00/library+'

export function describeRefusals(get: () => Subject): void {
  const malformed = [
    '',
    'data',
    'data/',
    '/data/a',
    'other/a',
    'berth/a',
    'data//a',
    'data/./a',
    'data/../a',
    'data/.hidden',
    'data/a b',
    'data/a\\b',
    'data/ä',
    'data/a\0',
    `data/${'x'.repeat(256)}`,
    `data/${'x/'.repeat(510)}x`,
    'tags/library+',
    'tags/library+/latest/more',
    'blobs/sha256/4f/4f00',
  ]

  it('refuses every key outside of the key space', async () => {
    const subject = get()
    const { driver } = subject
    for (const key of malformed) {
      for (const action of [
        () => driver.read(key),
        () => driver.stat(key),
        () => driver.open(key, { start: 0, end: 0 }),
        () => driver.write(key, Buffer.from('x')),
        () => driver.write(key, Buffer.from('x'), { ifAbsent: true }),
        () => driver.writeStream(key),
        () => driver.promote(key, record),
        () => driver.promote('pushes/p/entry', key),
        () => driver.remove(key),
      ]) {
        await failsWithoutTrace(subject, { name: 'Error' }, action)
      }
    }
  })

  it('takes the longest keys', async () => {
    const { driver } = get()
    for (const key of [
      `data/${'x'.repeat(255)}`,
      `data/${'y/'.repeat(509)}y`,
      `tags/${'x'.repeat(255)}/${'y'.repeat(255)}`,
    ]) {
      await driver.write(key, Buffer.from('x'), { ifAbsent: true, durable: false })
      assert.equal(await text(driver, key), 'x')
      assert.equal(await driver.remove(key), 'removed')
    }
  })

  it('refuses calls that a sort of key is not made for', async () => {
    const subject = get()
    const { driver, allowsNesting = false } = subject
    await driver.write('data/a/b', Buffer.from('x'))
    const nested = [() => driver.write('data/a', Buffer.from('x')), () => driver.write('data/a/b/c', Buffer.from('x'))]
    for (const action of [
      ...(allowsNesting ? [] : nested),
      () => driver.writeStream(record),
      () => driver.writeStream('berth'),
      () => driver.promote('data/a/b', 'data/a/c'),
      () => driver.promote(record, deepRecord),
      () => driver.promote('berth', record),
      () => driver.remove('data/a/b', { ifUnchanged: 'x' }),
      () => driver.list('data', { limit: 1 }),
      () => driver.list('other/', { limit: 1 }),
      () => driver.list('data/../', { limit: 1 }),
      () => driver.list('data/', { limit: 0 }),
    ]) {
      await failsWithoutTrace(subject, { name: 'Error' }, action)
    }
  })

  it('does nothing for a signal that is aborted', async () => {
    const subject = get()
    const { driver } = subject
    const options = { signal: AbortSignal.abort(new Error('enough')) }
    await driver.write('data/a/b', Buffer.from('x'))
    for (const action of [
      () => driver.read('data/a/b', options),
      () => driver.stat('data/a/b', options),
      () => driver.open('data/a/b', { start: 0, end: 0 }, options),
      () => driver.write('data/a/c', Buffer.from('x'), options),
      () => driver.writeStream('data/a/c', options),
      () => driver.promote('data/a/b', record, options),
      () => driver.remove('data/a/b', options),
      () => driver.list('data/', { ...options, limit: 1 }),
      () => driver.tidy(options),
    ]) {
      await failsWithoutTrace(subject, /enough/, action)
    }
  })

  it('has nothing to tidy after all this', async () => {
    assert.equal(await get().driver.tidy(), 0)
  })
}
