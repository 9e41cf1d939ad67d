/** Several processes on one folder, some killed again and again: what they were told must fit together. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Driver } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { createFolder, type Folder, openFolder } from './folder.ts'
import { hammer, hammerMs, type Scenario, slotMs } from './hammer.ts'
import { checkHistory, parseHistory } from './history.ts'

const processes = 6

describe('processes on one folder, some of them killed', () => {
  let folder: Folder
  let driver: Driver
  before(async () => {
    folder = await createFolder()
    driver = await openFolder(join(folder.root, 'store'))
  })
  after(async () => {
    await driver.close()
    await folder.remove()
  })

  async function run(scenario: Scenario) {
    const logs = join(folder.root, scenario.replace(' ', '-'))
    await mkdir(logs)
    const { lines, kills } = await hammer(scenario, { root: join(folder.root, 'store'), logs, processes })
    assert.ok(kills > 0 && lines.length > 0, `${lines.length} answers and ${kills} kills prove nothing`)
    return lines
  }

  it('create a key or a record only if absent: one of them does', async (t) => {
    const attempts = (await run('create')).map(parseCreate)
    const byKey = Map.groupBy(attempts, ({ key }) => key)
    t.diagnostic(`${attempts.length} attempts at ${byKey.size} keys`)
    for (const [key, tries] of byKey) {
      const value = (await driver.read(key))?.bytes.toString()
      const winners = tries.filter(({ result }) => result === 'written').map(({ id }) => id)
      // A winner may have been killed before he could say so.
      assert.ok(winners.length <= 1, `${winners.length} winners of ${key}`)
      if (winners.length === 1) assert.equal(value, winners[0], key)
      assert.ok(value !== undefined, `${key} was answered, and is absent`)
    }
  })

  it('promote or take back an entry: one of them does', async (t) => {
    const slots = Math.ceil(hammerMs / slotMs) + 1
    for (let slot = 0; slot < slots; slot++) {
      await driver.write(`pushes/hammer/${slot}`, Buffer.from(String(slot)), { durable: false })
    }
    const answers = (await run('take back')).map(parseTakeBack)
    const bySlot = Map.groupBy(answers, ({ slot }) => slot)
    t.diagnostic(`${answers.length} attempts at ${bySlot.size} entries`)
    let promoted = 0
    let removed = 0
    for (const [slot, tries] of bySlot) {
      const done = tries.filter(({ result }) => result === 'done').length
      const taken = tries.filter(({ result }) => result === 'removed').length
      promoted += done
      removed += taken
      assert.ok(done + taken <= 1, `entry ${slot} was promoted ${done} times and removed ${taken} times`)
      const record = await driver.read(`tags/hammer/${slot}`)
      assert.equal(await driver.read(`pushes/hammer/${slot}`), undefined)
      if (done === 1) assert.equal(record?.bytes.toString(), String(slot))
      if (taken === 1) assert.equal(record, undefined, `entry ${slot} was taken back, and its record is there`)
    }
    t.diagnostic(`${promoted} promoted, ${removed} taken back`)
  })

  it('replace and remove records: no acknowledged value is lost, and no read goes back', async (t) => {
    const history = parseHistory(await run('replace'))
    t.diagnostic(`${history.writes.size} values, ${history.reads.length} reads, ${history.removals.length} removals`)
    assert.deepEqual(checkHistory(history), [])
  })

  it('leave nothing behind that a list with times and a tidy-up do not remove', async () => {
    for await (const { key } of listAll(driver, '', { times: true })) await driver.remove(key)
    const tidy = await openFolder(join(folder.root, 'store'), { temporaryAgeMs: 0 })
    await tidy.tidy()
    for await (const { key } of listAll(driver, '', { times: true })) assert.fail(`${key} is left`)
  })
})

function parseCreate(line: unknown) {
  assert.ok(isObject(line))
  const { key, id, result } = line
  assert.ok(typeof key === 'string' && typeof id === 'string' && typeof result === 'string')
  return { key, id, result }
}

function parseTakeBack(line: unknown) {
  assert.ok(isObject(line))
  const { slot, result } = line
  assert.ok(typeof slot === 'number' && typeof result === 'string')
  return { slot, result }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
