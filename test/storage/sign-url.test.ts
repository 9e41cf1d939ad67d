import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { keySpace } from '../../src/registry/layout.ts'
import { checkCalls } from '../../src/storage/checked.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { createKeyRules } from '../../src/storage/keys.ts'
import { createMemoryDriver } from '../../src/storage/memory.ts'
import { meterDriver } from '../../src/storage/metered.ts'
import { createYieldingDriver } from '../../src/storage/yielding.ts'

/** A driver as the registry has it: everything that is put around one. */
function wrap(driver: Driver): Driver {
  const checked = checkCalls(driver, createKeyRules(keySpace))
  const metered = meterDriver(checked, { record: () => undefined }, () => 0)
  const idle = { share: 1, runMs: 10, usedMs: () => 0, elapsedMs: () => 0, pause: () => undefined }
  return createYieldingDriver(metered, idle)
}

const memory = createMemoryDriver({ keySpace, now: Date.now, createId: randomUUID })

test('a driver signs URLs of plain keys and of no others, whatever is around it', async () => {
  const driver = wrap({ ...memory, signUrl: async (key) => `https://store/${key}?signed` })
  assert.equal(await driver.signUrl?.('data/a/b'), 'https://store/data/a/b?signed')
  for (const key of ['data/../berth', '/etc/passwd', 'other/a', 'berth', 'tags/library+/latest']) {
    await assert.rejects(async () => driver.signUrl?.(key), { name: 'Error' }, key)
  }
  await assert.rejects(async () => driver.signUrl?.('data/a/b', { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
})

test('a driver that signs no URLs has no way to, whatever is around it', () => {
  assert.equal(wrap(memory).signUrl, undefined)
})
