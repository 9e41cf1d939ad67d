/** One process of a hammer: does what its scenario says until the end and writes down each answer at once, so that a kill loses none. */
import { createHash, randomUUID } from 'node:crypto'
import { openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLocalCalls } from '../../src/storage/filesystem/calls.ts'
import { openFolder } from './folder.ts'
import { type Orders, sharedClock, slotMs, type Span } from './hammer.ts'

const orders: Orders = JSON.parse(process.argv[2] ?? '')
const log = openSync(orders.log, 'a')

function note(line: object): void {
  writeSync(log, `${JSON.stringify(line)}\n`)
}

// A sync takes most of the time and makes no difference to what a kill leaves: without it many more races are run.
const nothing = async () => undefined
const driver = await openFolder(orders.root, { calls: { ...createLocalCalls(), sync: nothing, syncData: nothing } })
process.send?.('ready')
const span = await new Promise<Span>((resolve) => process.once('message', resolve))

/** Runs `act` once per slot, or skips slots while it takes longer. */
async function eachSlot(act: (slot: number) => Promise<void>): Promise<void> {
  let last = -1
  while (sharedClock() < span.end) {
    const slot = Math.floor((sharedClock() - span.start) / slotMs)
    if (slot > last) {
      last = slot
      await act(slot)
    } else {
      await sleep(Math.max(0, span.start + (last + 1) * slotMs - sharedClock()))
    }
  }
}

/** All create the same keys at the same moment. */
async function create(): Promise<void> {
  await eachSlot(async (slot) => {
    for (const key of [`data/create/${slot}`, `tags/create/${slot}`]) {
      const id = randomUUID()
      const result = await driver.write(key, Buffer.from(id), { ifAbsent: true })
      note({ key, id, result })
    }
  })
}

/** Half of the processes promote an entry at the moment the others remove it. */
async function takeBack(): Promise<void> {
  await eachSlot(async (slot) => {
    const entry = `pushes/hammer/${slot}`
    const result =
      orders.index % 2 === 0 ? await driver.promote(entry, `tags/hammer/${slot}`) : await driver.remove(entry)
    note({ slot, result })
  })
}

/** All read, replace, and remove if unchanged, two records; one of them is never removed. */
async function replace(): Promise<void> {
  for (let turn = 0; sharedClock() < span.end; turn++) {
    const key = Math.random() < 0.5 ? 'tags/replaced/kept' : 'tags/replaced/dropped'
    const dice = Math.random()
    if (dice < 0.35) await publish(key)
    else if (dice < 0.5 && key !== 'tags/replaced/kept') await removeIfUnchanged(key)
    else if (dice < 0.6) await listTimes()
    else await read(key)
  }
}

async function publish(key: string): Promise<void> {
  const id = randomUUID()
  const padding = 'x'.repeat(Math.floor(Math.random() * 3000))
  const check = createHash('sha256').update(`${id}${padding}`).digest('hex')
  const entry = `pushes/${orders.index}/${id}`
  await driver.write(entry, Buffer.from(JSON.stringify({ id, padding, check })), { durable: false })
  note({ type: 'publish', key, id, start: sharedClock() })
  if ((await driver.promote(entry, key)) !== 'done') throw new Error('an entry that nobody removed was refused')
  note({ type: 'published', id, end: sharedClock() })
}

async function read(key: string): Promise<{ id: string; version: string } | undefined> {
  const start = sharedClock()
  const value = await driver.read(key)
  const end = sharedClock()
  const id = value && idOf(value.bytes.toString())
  note({ type: 'read', key, id, start, end })
  return value && id !== undefined ? { id, version: value.version } : undefined
}

function idOf(text: string): string {
  const { id, padding, check }: { id: string; padding: string; check: string } = JSON.parse(text)
  if (createHash('sha256').update(`${id}${padding}`).digest('hex') !== check) throw new Error('a value is not whole')
  return id
}

async function removeIfUnchanged(key: string): Promise<void> {
  const found = await read(key)
  if (found === undefined) return
  note({ type: 'remove', key, id: found.id, start: sharedClock() })
  const result = await driver.remove(key, { ifUnchanged: found.version })
  note({ type: 'removed', key, id: found.id, result, end: sharedClock() })
}

async function listTimes(): Promise<void> {
  const start = sharedClock()
  const { entries } = await driver.list('tags/replaced/', { limit: 10, times: true })
  note({ type: 'list', start, keys: entries.map(({ key }) => key) })
}

await { create, 'take back': takeBack, replace }[orders.scenario]()
process.disconnect()
