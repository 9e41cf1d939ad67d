import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { createMemoryDriver } from '../../src/storage/memory.ts'
import { createYieldingDriver } from '../../src/storage/yielding.ts'

function createYielding(share: number) {
  const clock = { used: 0, elapsed: 0 }
  const pauses: number[] = []
  const keySpace = { singles: [], plain: ['data/'], records: [] }
  const driver = createYieldingDriver(createMemoryDriver({ keySpace, now: Date.now, createId: randomUUID }), {
    share,
    runMs: 0.5,
    usedMs: () => clock.used,
    elapsedMs: () => clock.elapsed,
    pause(ms) {
      pauses.push(ms)
      clock.elapsed += ms
    },
  })
  return {
    pauses,
    /** One call, after so much work and waiting. */
    call: async (usedMs: number, waitedMs = 0): Promise<void> => {
      clock.used += usedMs
      clock.elapsed += usedMs + waitedMs
      assert.equal(await driver.read('data/a/b'), undefined)
    },
  }
}

describe('a driver that yields', () => {
  it('gives the event loop a turn, however fast the store answers', async () => {
    const { call } = createYielding(1)
    let turns = 0
    const count = (): void => void (turns++, (counting = setImmediate(count)))
    let counting = setImmediate(count)
    for (let i = 0; i < 100; i++) await call(0, 10)
    clearImmediate(counting)
    assert.ok(turns >= 15 && turns <= 25, `${turns} turns in a second`)
  })

  it('pauses so long that its share is kept', async () => {
    const { pauses, call } = createYielding(0.25)
    for (let i = 0; i < 3; i++) await call(2)
    assert.deepEqual(pauses, [6, 6, 6])
  })

  it('does not pause for calls that took next to nothing, but for many of them', async () => {
    const { pauses, call } = createYielding(0.5)
    await call(0.25)
    assert.deepEqual(pauses, [])
    await call(0.25)
    assert.deepEqual(pauses, [0.5])
  })

  it('counts what it waited for the store as a pause', async () => {
    const { pauses, call } = createYielding(0.5)
    await call(2, 3)
    await call(2)
    assert.deepEqual(pauses, [1])
  })

  it('never pauses for long, and pays the rest at its next calls', async () => {
    const { pauses, call } = createYielding(0.5)
    await call(80)
    await call(0)
    await call(0)
    assert.deepEqual(pauses, [50, 30])
  })

  it('counts only the last of what it waited', async () => {
    const { pauses, call } = createYielding(0.5)
    await call(2, 1000)
    await call(30)
    assert.deepEqual(pauses, [10])
  })
})
