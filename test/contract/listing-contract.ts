/** The part of the driver contract about lists: against a model, for generated names. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import type { ListEntry, ListOptions } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import type { Subject } from './subject.ts'

/** Few characters, those around `/` in byte order among them, so that names are neighbours and prefixes of each other. */
const segment = fc
  .string({ unit: fc.constantFrom('a', 'b', '0', '!', '-', '.', '+', '~', '^', 'Z'), minLength: 1, maxLength: 3 })
  .filter((text) => !text.startsWith('.'))
const plainKey = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => `data/${segments.join('/')}`)
const recordKey = fc.tuple(segment, segment).map((segments) => `tags/${segments.join('/')}`)
const key = fc.oneof({ weight: 3, arbitrary: plainKey }, { weight: 2, arbitrary: recordKey })

/** Keys of which none is also a prefix of another. */
const keys = fc
  .uniqueArray(key, { maxLength: 14 })
  .map((all) => all.filter((one) => !all.some((other) => other.startsWith(`${one}/`))))

interface Question {
  readonly prefix: string
  readonly after?: string
  readonly delimiter?: '/'
  readonly limit: number
}

const question: fc.Arbitrary<Question> = fc.record(
  {
    prefix: fc.oneof(
      fc.constantFrom('', 'data/', 'tags/', 'garbage/'),
      segment.map((name) => `data/${name}/`),
      segment.map((name) => `tags/${name}/`),
      fc.tuple(segment, segment).map(([first, second]) => `tags/${first}/${second}/`),
    ),
    after: fc.oneof(
      key,
      key.map((text) => text.slice(0, -1)),
      segment.map((name) => `data/${name}/`),
      fc.constantFrom('', 'data/', 'zzz', '~'),
    ),
    delimiter: fc.constant('/' as const),
    limit: fc.integer({ min: 1, max: 5 }),
  },
  { requiredKeys: ['prefix', 'limit'] },
)

/** What a list must answer, said as simply as possible. */
function expected(all: readonly string[], { prefix, after = '', delimiter, limit }: Question) {
  const isBehind = (text: string) =>
    after.endsWith('/') && after.length > prefix.length ? text > after && !text.startsWith(after) : text > after
  const found = all
    .filter((text) => text.startsWith(prefix) && isBehind(text))
    .map((text) => {
      const slash = delimiter === undefined ? -1 : text.indexOf('/', prefix.length)
      return slash < 0 ? text : text.slice(0, slash + 1)
    })
  const entries = [...new Set(found)].sort()
  return { entries: entries.slice(0, limit).map((text) => ({ key: text })), more: entries.length > limit }
}

export function describeListing(get: () => Subject): void {
  it('lists generated names in byte order, with any prefix, after, delimiter and limit', async () => {
    const { driver } = get()
    await fc.assert(
      fc.asyncProperty(keys, fc.array(question, { minLength: 30, maxLength: 30 }), async (all, questions) => {
        // What a run that failed has left would mislead the search for a smaller one.
        for await (const { key } of listAll(driver, '')) if (key !== 'berth') await driver.remove(key)
        await Promise.all(all.map((text) => driver.write(text, Buffer.from('x'), { durable: false })))
        const marker = (await driver.stat('berth')) === undefined ? [] : ['berth']
        for (const asked of questions) {
          const { prefix, ...options } = asked
          const { entries, more } = await driver.list(prefix, options)
          assert.deepEqual({ entries, more }, expected([...all, ...marker].sort(), asked))
          const timed = await driver.list(prefix, { ...options, times: true })
          assert.deepEqual(
            timed.entries.map((entry) => ({ key: entry.key })),
            expected([...all, ...marker].sort(), asked).entries,
          )
          for (const entry of timed.entries) assert.equal(entry.modified === undefined, entry.key.endsWith('/'))
        }
        await Promise.all(all.map((text) => driver.remove(text)))
        assert.deepEqual((await driver.list('data/', { limit: 10 })).entries, [])
      }),
      {
        numRuns: Number(process.env['LISTINGS'] ?? 25),
        examples: [[['data/~/a'], [{ prefix: '', after: 'data/~/', delimiter: '/', limit: 1 }]]],
      },
    )
  })

  it('pages through folded and whole lists without losing or repeating', async () => {
    const { driver } = get()
    const all = ['data/a!/x', 'data/a-/x', 'data/a/x', 'data/a/y', 'data/a0', 'data/a00/x', 'data/b']
    await Promise.all(all.map((text) => driver.write(text, Buffer.from('x'), { durable: false })))
    for (const delimiter of [undefined, '/'] as const) {
      const options: Omit<ListOptions, 'limit'> = delimiter === undefined ? {} : { delimiter }
      const whole = (await driver.list('data/', { ...options, limit: 100 })).entries
      for (const pageSize of [1, 2, 3, 100]) {
        const paged: ListEntry[] = []
        for await (const entry of listAll(driver, 'data/', { ...options, pageSize })) paged.push(entry)
        assert.deepEqual(paged, whole)
      }
    }
  })

  it('shows every change at once, in lists that were asked before', async () => {
    const { driver } = get()
    const list = async () => (await driver.list('tags/r/', { limit: 100 })).entries.map((entry) => entry.key)
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(await list(), [])
      await driver.write('tags/r/a', Buffer.from('x'))
      assert.deepEqual(await list(), ['tags/r/a'])
      await driver.write('pushes/p/entry', Buffer.from('x'))
      await driver.promote('pushes/p/entry', 'tags/r/b')
      assert.deepEqual(await list(), ['tags/r/a', 'tags/r/b'])
      await driver.remove('tags/r/a')
      assert.deepEqual(await list(), ['tags/r/b'])
      await driver.remove('tags/r/b')
    }
  })
}
