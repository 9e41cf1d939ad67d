/** The probe of a store finds what each broken promise is, goes on, and removes what it wrote. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { createMemoryDriver } from '../../src/storage/memory.ts'
import { namesOf, runProbe } from '../../src/storage/probe/run.ts'
import { type Answer, failed, folderProbe, type Step, type StoreProbe } from '../../src/storage/probe/step.ts'
import { testKeySpace } from './folder.ts'

const small: StoreProbe = { ...folderProbe, partBytes: 100_000 }

async function probe(
  change: (driver: Driver) => Partial<Driver> = () => ({}),
  { store = small, signal = new AbortController().signal }: { store?: StoreProbe; signal?: AbortSignal } = {},
) {
  const whole = createMemoryDriver({ keySpace: testKeySpace, now: Date.now, createId: randomUUID })
  const driver = { ...whole, ...change(whole) }
  const rows = new Map<string, Answer>()
  const options = { driver, keySpace: testKeySpace, scratchPrefix: 'scratch/', createId: randomUUID, signal }
  const clocks = { now: Date.now, elapsedMs: () => performance.now() }
  await runProbe(store, { ...options, ...clocks }, (name, answer) => void rows.set(name, answer))
  assert.deepEqual([...rows.keys()], namesOf(store))
  const { entries } = await whole.list('', { limit: 10 })
  return { rows, left: entries.map(({ key }) => key) }
}

/** The only row that failed, and what it said. */
async function failsAt(name: string, said: RegExp, change: (driver: Driver) => Partial<Driver>) {
  const { rows, left } = await probe(change)
  const wrong = [...rows].filter(([, { outcome }]) => outcome !== 'ok')
  assert.deepEqual(
    wrong.map(([row, { outcome }]) => [row, outcome]),
    [[name, 'failed']],
  )
  assert.match(wrong[0]?.[1].said ?? '', said)
  assert.deepEqual(left, [])
}

describe('the probe of a store', () => {
  it('finds nothing wrong with a good one, and leaves nothing', async () => {
    const { rows, left } = await probe()
    for (const [name, { outcome, said }] of rows) assert.equal(outcome, 'ok', `${name}: ${said}`)
    assert.deepEqual(left, [])
  })

  it('finds one that is atomic only while nobody else writes', () =>
    failsAt(
      'create if absent, 16 at once',
      /^2 of 16 writers were told that they were first \(round 1\): the store is/,
      (whole) => {
        const counts = new Map<string, number>()
        return {
          async write(key, bytes, options) {
            const count = (counts.get(key) ?? 0) + 1
            counts.set(key, count)
            return whole.write(key, bytes, {
              ...options,
              ifAbsent: options?.ifAbsent === true && (count !== 3 || bytes.length > 1000),
            })
          },
        }
      },
    ))

  it('finds one that keeps what a loser wrote', () =>
    failsAt('create if absent, 16 at once, 1 MiB', /^what is stored is not what the first one wrote/, (whole) => ({
      async write(key, bytes, options) {
        const answer = await whole.write(key, bytes, options)
        if (answer === 'exists' && bytes.length > 1000) await whole.write(key, bytes)
        return answer
      },
    })))

  it('finds one that lists in another order', () =>
    failsAt('order of lists', /^a list after "" gives ".*" instead of "a!\/1 a!\/2 a\+\/1 /, (whole) => ({
      async list(prefix, options) {
        const listing = await whole.list(prefix, options)
        return { ...listing, entries: listing.entries.toSorted((a, b) => a.key.localeCompare(b.key)) }
      },
    })))

  it('finds one that skips a fold in which a list begins', () =>
    failsAt('order of lists', /^a folded list after "a!\/1" gives/, (whole) => ({
      async list(prefix, { after, ...options }) {
        const slash = options.delimiter === '/' && after !== undefined ? after.indexOf('/', prefix.length) : -1
        const from = after !== undefined && slash > 0 ? after.slice(0, slash + 1) : after
        return whole.list(prefix, from === undefined ? options : { ...options, after: from })
      },
    })))

  it('finds one that promotes what is not there', () =>
    failsAt('promote of an absent entry', /^it writes something/, (whole) => ({
      async promote(_, record) {
        await whole.write(record, Buffer.alloc(1))
        return 'refused'
      },
    })))

  it('finds one that gives another range than was asked', () =>
    failsAt(
      'large upload, read whole and in ranges',
      /^the range from 99993 to 100009 is not what was written$/,
      (whole) => ({
        open: (key, { start, end }, options) =>
          whole.open(key, start === 99_993 ? { start: start - 1, end: end - 1 } : { start, end }, options),
      }),
    ))

  it('finds one that shows an upload that was given up', () =>
    failsAt('large upload that is given up', /^an upload that was given up is there$/, (whole) => ({
      async writeStream(key, options) {
        const writer = await whole.writeStream(key, options)
        return { ...writer, discard: () => writer.seal() }
      },
    })))

  it('says what the store says, and goes on', () =>
    failsAt('empty body', /^no$/, (whole) => ({
      async stat(key, options) {
        const stat = await whole.stat(key, options)
        if (stat?.size === 0) throw new StorageError('unavailable', 'no')
        return stat
      },
    })))

  it('ends early where nothing is kept at all', async () => {
    const { rows } = await probe(() => ({ read: () => Promise.resolve(undefined) }))
    const outcomes = [...rows.values()].map(({ outcome }) => outcome)
    assert.deepEqual(outcomes.slice(0, 3), ['ok', 'failed', 'not tried'])
    assert.ok(outcomes.slice(2, -1).every((outcome) => outcome === 'not tried'))
    assert.equal(outcomes.at(-1), 'ok')
  })

  it('says where something stays', async () => {
    const { rows, left } = await probe((whole) => ({
      remove: (key, options) => (left0.test(key) ? Promise.resolve('removed') : whole.remove(key, options)),
    }))
    assert.match(
      rows.get('everything is removed again')?.said ?? '',
      /^1 keys and 0 uploads stay below scratch\/\S+\/: remove/,
    )
    assert.equal(left.length, 1)
  })

  it('stops between two calls, and removes what is there', async () => {
    const stop = new AbortController()
    const { rows, left } = await probe(
      (whole) => ({
        async write(key, bytes, options) {
          if (key.endsWith('/b')) stop.abort()
          return whole.write(key, bytes, options)
        },
      }),
      { signal: stop.signal },
    )
    assert.deepEqual(rows.get('order of lists'), { outcome: 'not tried', said: 'stopped' })
    assert.equal(rows.get('empty body')?.outcome, 'not tried')
    assert.equal(rows.get('everything is removed again')?.outcome, 'ok')
    assert.deepEqual(left, [])
  })

  it('warns of what is only wished for', async () => {
    const step = (name: string, run: Step['run']): Step => ({ name, weight: 'wished', run })
    const steps = [
      step('one', async () => failed('no')),
      step('two', async () => {
        throw new Error('not at all')
      }),
    ]
    const { rows } = await probe(undefined, { store: { ...small, steps } })
    assert.deepEqual(
      [rows.get('one'), rows.get('two')],
      [
        { outcome: 'warning', said: 'no' },
        { outcome: 'warning', said: 'not at all' },
      ],
    )
  })
})

/** The last key of the list step. */
const left0 = /\/b$/
