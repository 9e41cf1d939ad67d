import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { FormatError, openFormat } from '../../src/registry/format.ts'
import { formatKey, keySpace } from '../../src/registry/layout.ts'
import { createMemoryDriver } from '../../src/storage/memory.ts'

const createStore = () => createMemoryDriver({ keySpace, now: Date.now, createId: randomUUID })

test('a store that holds something else is left alone', async () => {
  const driver = createStore()
  await driver.write('scratch/a', Buffer.from('x'))
  await assert.rejects(openFormat(driver, 'here'), FormatError)
  assert.equal(await driver.read(formatKey), undefined)
})

test('two processes may begin with one empty store at the same time', async () => {
  const driver = createStore()
  let others = 0
  // Between our first look and the next call another process opens the store and writes to it.
  const raced = {
    ...driver,
    list: async (...args: Parameters<typeof driver.list>) => {
      if (others++ === 0) {
        await openFormat(driver, 'here')
        await driver.write('scratch/a', Buffer.from('x'))
      }
      return driver.list(...args)
    },
  }
  await openFormat(raced, 'here')
  assert.equal(others, 1)
})
