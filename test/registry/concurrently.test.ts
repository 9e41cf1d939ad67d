import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSuccession } from '../../src/registry/concurrently.ts'

describe('works in succession', () => {
  it('go on beside who hands them over, one at a time, and the end waits for the last', async () => {
    const { next, end } = createSuccession()
    const log: string[] = []
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const work = (name: string, i: number) => async (): Promise<void> => {
      log.push(`${name} begins`)
      await gates[i]?.promise
      log.push(`${name} ends`)
    }
    await next(work('a', 0))
    assert.deepEqual(log, ['a begins'])
    const second = next(work('b', 1))
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(log, ['a begins'])
    gates[0]?.resolve()
    await second
    assert.deepEqual(log, ['a begins', 'a ends', 'b begins'])
    gates[1]?.resolve()
    await end()
    assert.equal(log.at(-1), 'b ends')
  })

  it('tell of a failure at the next one, which does not begin, and at the end', async () => {
    const { next, end } = createSuccession()
    await next(() => Promise.reject(new Error('full')))
    let hasBegun = false
    const begin = (): Promise<void> => {
      hasBegun = true
      return Promise.resolve()
    }
    await assert.rejects(next(begin), /full/)
    await assert.rejects(end(), /full/)
    assert.equal(hasBegun, false)
  })

  it('end at once when there was none', async () => {
    await createSuccession().end()
  })
})
