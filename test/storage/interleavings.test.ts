/** Two or three processes' worth of drivers on one folder, their system calls taken in any order. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import type { Driver } from '../../src/storage/driver.ts'
import { createQuickCalls, wrapCalls } from './faulty-calls.ts'
import { createFolder, type Folder, openFolder } from './folder.ts'

const record = 'tags/r/t'

/** How many orders are tried; the environment asks for more when somebody wants to be sure. */
const runs = Number(process.env['BERTH_INTERLEAVINGS'] ?? 100)

/** Who has his way for how many calls: long turns are what makes one driver act on what another has changed long ago. */
interface Turn {
  readonly who: number
  readonly calls: number
}

const turns = fc.noBias(
  fc.array(fc.record({ who: fc.nat(2), calls: fc.integer({ min: 1, max: 15 }) }), { minLength: 60, maxLength: 60 }),
)

/** Takes the calls of three drivers one at a time in the order of turns; outside of `during`, at once. */
function createOrder(planned: readonly Turn[]) {
  const order = planned.flatMap(({ who, calls }) => Array.from({ length: calls }, () => who))
  const waiting: { readonly who: number; readonly run: () => Promise<void> }[] = []
  const state = { isOrdered: false }

  async function takeInTurn(): Promise<void> {
    for (let taken = 0; state.isOrdered; taken++) {
      const wanted = waiting.findIndex(({ who }) => who === order[taken % order.length])
      await waiting.splice(Math.max(wanted, 0), 1)[0]?.run()
      // Whoever got his answer says what he wants next.
      await nextTurn()
    }
  }

  return {
    async take<T>(who: number, call: () => Promise<T>): Promise<T> {
      if (!state.isOrdered) return call()
      const { promise, resolve } = Promise.withResolvers<void>()
      const done = promise.then(call)
      const run = async () => {
        resolve()
        await done.catch(() => undefined)
      }
      waiting.push({ who, run })
      return done
    },
    async during<T>(act: () => Promise<T>): Promise<T> {
      state.isOrdered = true
      const turning = takeInTurn()
      try {
        return await act()
      } finally {
        state.isOrdered = false
        await turning
      }
    },
  }
}

describe('any order of system calls', () => {
  let folder: Folder
  let count = 0
  before(async () => {
    folder = await createFolder()
  })
  after(() => folder.remove())

  /**
   * Runs `act` for many orders. It gets drivers that share nothing but the folder, and returns what all must have finished; then a fresh
   * driver is given to `check`.
   */
  async function explore<T>(
    prepare: (driver: Driver) => Promise<unknown>,
    act: (drivers: readonly [Driver, Driver, Driver]) => Promise<T>,
    check: (result: T, fresh: Driver) => Promise<void>,
  ): Promise<void> {
    await fc.assert(
      fc.asyncProperty(turns, async (planned) => {
        const root = join(folder.root, String(count++))
        await prepare(await openFolder(root, { calls: createQuickCalls() }))
        const order = createOrder(planned)
        const open = (who: number) =>
          openFolder(root, {
            random: () => 0,
            calls: wrapCalls(createQuickCalls(), (_, __, run) => order.take(who, run)),
          })
        const drivers = [await open(0), await open(1), await open(2)] as const
        const result = await order.during(() => act(drivers))
        await check(result, await openFolder(root, { calls: createQuickCalls() }))
      }),
      { numRuns: runs },
    )
  }

  const text = async (driver: Driver) => (await driver.read(record))?.bytes.toString()

  /** A record and two entries that may become it. */
  async function prepareThree(driver: Driver): Promise<void> {
    await driver.write(record, Buffer.from('old'))
    for (const name of ['a', 'b']) await driver.write(`pushes/p/${name}`, Buffer.from(name))
  }

  it('creates a record once', async () => {
    const names = ['a', 'b', 'c']
    await explore(
      async () => undefined,
      (drivers) =>
        Promise.all(drivers.map((one, i) => one.write(record, Buffer.from(names[i] ?? ''), { ifAbsent: true }))),
      async (results, fresh) => {
        assert.equal(results.filter((result) => result === 'written').length, 1)
        assert.equal(await text(fresh), names[results.indexOf('written')])
      },
    )
  })

  it('never removes a value that was promoted over the one that was meant', async () => {
    await explore(
      prepareThree,
      async ([first, second, third]) => {
        const version = (await third.stat(record))?.version ?? ''
        return Promise.all([
          first.promote('pushes/p/a', record),
          second.promote('pushes/p/b', record),
          third.remove(record, { ifUnchanged: version }),
        ])
      },
      async ([first, second, removed], fresh) => {
        assert.deepEqual([first, second], ['done', 'done'])
        assert.ok(['removed', 'changed'].includes(removed))
        assert.ok(['a', 'b'].includes((await text(fresh)) ?? ''), 'a promoted value is lost')
      },
    )
  })

  it('never reads back, whoever reads', async () => {
    await explore(
      prepareThree,
      async ([first, second, third]) => {
        const version = (await second.stat(record))?.version ?? ''
        const seen: (string | undefined)[] = []
        const [acknowledged] = await Promise.all([
          // The second driver has seen the old value, and would find it again by its name.
          first.promote('pushes/p/a', record).then(() => text(second)),
          third.remove(record, { ifUnchanged: version }),
          // One after the other, by two drivers in turn: what one has seen the other must not go behind.
          (async () => {
            for (const reader of [second, third, second, third, second]) seen.push(await text(reader))
          })(),
        ])
        return { acknowledged, seen }
      },
      async ({ acknowledged, seen }, fresh) => {
        assert.equal(acknowledged, 'a')
        const changed = seen.findIndex((value) => value !== 'old')
        if (changed >= 0) assert.ok(!seen.slice(changed).includes('old'), `read ${seen.join(', ')}`)
        const promoted = seen.indexOf('a')
        if (promoted >= 0)
          assert.ok(
            seen.slice(promoted).every((value) => value === 'a'),
            `read ${seen.join(', ')}`,
          )
        assert.equal(await text(fresh), 'a')
      },
    )
  })

  it('always has a record that is only replaced', async () => {
    await explore(
      prepareThree,
      async ([first, second, third]) =>
        Promise.all([
          third.list('tags/r/', { limit: 9, times: true }).then(({ entries }) => entries.length),
          text(third),
          first.promote('pushes/p/a', record),
          third.write(record, Buffer.from('c'), { ifAbsent: true }),
          second.promote('pushes/p/b', record),
          text(third),
        ]),
      async ([listed, before, , created, , after]) => {
        assert.deepEqual([listed, created], [1, 'exists'])
        assert.ok(before !== undefined && after !== undefined, 'a record was read as absent')
      },
    )
  })

  it('promotes or takes back, also while the record is removed', async () => {
    await explore(
      async (driver) => {
        await driver.write(record, Buffer.from('old'))
        await driver.write('pushes/p/a', Buffer.from('a'))
      },
      ([first, second, third]) =>
        Promise.all([first.promote('pushes/p/a', record), second.remove('pushes/p/a'), third.remove(record)]),
      async ([promoted, taken, removed], fresh) => {
        assert.equal(promoted === 'done', taken === 'absent')
        assert.equal(removed, 'removed')
        const value = await text(fresh)
        assert.ok(value === undefined || (promoted === 'done' && value === 'a'), `read ${value}`)
      },
    )
  })
})
