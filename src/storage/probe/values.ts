/** Steps with small values: written, read, removed, created only if absent, promoted. */
import { absentRecord } from '../check.ts'
import { failed, ok, type Scratch, showMs, type Step, timed } from './step.ts'

/** Enough for a figure. */
const rounds = 5

/** Time stamps of stores are whole seconds; signatures are refused from 15 minutes on. */
const maxClockDifferenceMs = 60_000

async function reach(scratch: Scratch) {
  const { value, ms } = await timed(scratch, () => scratch.driver.list(scratch.prefix, { limit: 1 }))
  const difference = scratch.now() - value.now
  const apart = `its clock is ${(Math.abs(difference) / 1000).toFixed(0)} s ${difference < 0 ? 'ahead' : 'behind'}`
  if (Math.abs(difference) > maxClockDifferenceMs) return failed(`${apart}: set one of them right, e.g. by NTP`)
  return ok(`${showMs(ms)} for a list; ${Math.abs(difference) < 2000 ? 'clocks agree' : apart}`)
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0
}

async function writeReadRemove(scratch: Scratch) {
  const { driver, key, signal } = scratch
  const times: Record<'write' | 'read' | 'remove', number[]> = { write: [], read: [], remove: [] }
  const one = key()
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted()
    const bytes = Buffer.from(`${one} ${round}`)
    times.write.push((await timed(scratch, () => driver.write(one, bytes))).ms)
    const read = await timed(scratch, () => driver.read(one))
    times.read.push(read.ms)
    if (read.value?.bytes.equals(bytes) !== true) return failed('a read does not return what was just written')
    const removed = await timed(scratch, () => driver.remove(one))
    times.remove.push(removed.ms)
    if (removed.value !== 'removed') return failed('what was just written is not found by the remove')
    if ((await driver.stat(one)) !== undefined) return failed('what was just removed is still there')
    if ((await driver.list(scratch.prefix, { limit: 1 })).entries.length > 0)
      return failed('a list still shows what was just removed')
  }
  const { write, read, remove } = times
  return ok(`${showMs(median(write))}, ${showMs(median(read))}, ${showMs(median(remove))}`)
}

async function createIfAbsent({ driver, key }: Scratch) {
  const one = key()
  const first = Buffer.from('first')
  if ((await driver.write(one, first, { ifAbsent: true })) !== 'written')
    return failed('the store says of a key that is not there that it exists')
  const second = await driver.write(one, Buffer.from('second'), { ifAbsent: true })
  if (second !== 'exists') return failed('the store ignores the condition and overwrites: it cannot keep a registry')
  const read = await driver.read(one)
  if (read?.bytes.equals(first) !== true) return failed('a write that was refused has changed what is stored')
  return ok('the second write is refused')
}

async function promoteAbsent({ driver, key, keySpace, createId }: Scratch) {
  const record = absentRecord(keySpace, createId)
  if (record === undefined) return ok('there are no records')
  const answer = await driver.promote(key(), record)
  if ((await driver.stat(record)) !== undefined) {
    await driver.remove(record)
    return failed('it writes something: the store cannot keep a registry')
  }
  return answer === 'refused' ? ok('refused, and nothing is written') : failed('the store says that it is done')
}

/** Until here a store has to answer at all. */
export const firstSteps: readonly Step[] = [
  { name: 'reachable', weight: 'first', run: reach },
  { name: 'write, read, remove', weight: 'first', run: writeReadRemove },
]

export const valueSteps: readonly Step[] = [
  { name: 'create if absent', weight: 'needed', run: createIfAbsent },
  { name: 'promote of an absent entry', weight: 'needed', run: promoteAbsent },
]
