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

/** Takes calls one at a time, each chosen among those that are waiting; outside of `during`, at once. */
function createOrder(choices: readonly number[]) {
  const waiting: (() => Promise<void>)[] = []
  const state = { isOrdered: false }
  let taken = 0

  async function takeInTurn(): Promise<void> {
    while (state.isOrdered) {
      const choice = choices[taken++ % choices.length] ?? 0
      await waiting.splice(choice % Math.max(waiting.length, 1), 1)[0]?.()
      // Whoever got his answer says what he wants next.
      await nextTurn()
    }
  }

  return {
    async take<T>(run: () => Promise<T>): Promise<T> {
      if (!state.isOrdered) return run()
      const { promise, resolve } = Promise.withResolvers<void>()
      const done = promise.then(run)
      waiting.push(async () => {
        resolve()
        await done.catch(() => undefined)
      })
      return done
    },
    async during<T>(act: () => Promise<T>): Promise<T> {
      state.isOrdered = true
      const turns = takeInTurn()
      try {
        return await act()
      } finally {
        state.isOrdered = false
        await turns
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
      fc.asyncProperty(fc.array(fc.nat(5), { minLength: 200, maxLength: 200 }), async (choices) => {
        const root = join(folder.root, String(count++))
        await prepare(await openFolder(root, { calls: createQuickCalls() }))
        const order = createOrder(choices)
        const open = () =>
          openFolder(root, {
            random: () => 0,
            calls: wrapCalls(createQuickCalls(), (_, __, run) => order.take(run)),
          })
        const drivers = [await open(), await open(), await open()] as const
        const result = await order.during(() => act(drivers))
        await check(result, await openFolder(root, { calls: createQuickCalls() }))
      }),
      { numRuns: runs },
    )
  }

  const text = async (driver: Driver) => (await driver.read(record))?.bytes.toString()

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

  it('never removes a value that was promoted over the one that was meant, and never reads back', async () => {
    await explore(
      async (driver) => {
        await driver.write(record, Buffer.from('old'))
        for (const name of ['a', 'b']) await driver.write(`pushes/p/${name}`, Buffer.from(name))
      },
      async ([first, second, third]) => {
        const version = (await third.stat(record))?.version ?? ''
        const reading = async () => [await text(third), await text(third), await text(third), await text(third)]
        return Promise.all([
          first.promote('pushes/p/a', record),
          second.promote('pushes/p/b', record),
          third.remove(record, { ifUnchanged: version }),
          reading(),
        ])
      },
      async ([first, second, removed, seen], fresh) => {
        assert.deepEqual([first, second], ['done', 'done'])
        assert.ok(['removed', 'changed'].includes(removed))
        assert.ok(['a', 'b'].includes((await text(fresh)) ?? ''), 'a promoted value is lost')
        const firstNew = seen.findIndex((value) => value !== 'old')
        if (firstNew >= 0) assert.ok(!seen.slice(firstNew).includes('old'), `read ${seen.join(', ')}`)
      },
    )
  })

  it('always has a record that is only replaced', async () => {
    await explore(
      async (driver) => {
        await driver.write(record, Buffer.from('old'))
        for (const name of ['a', 'b']) await driver.write(`pushes/p/${name}`, Buffer.from(name))
      },
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
