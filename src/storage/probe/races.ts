/** Many writers who create the same key at once: a store that is not atomic is seen only so. */
import { failed, ok, type Scratch, showMs, type Step, timed } from './step.ts'

const writers = 16
const rounds = 10

/** Names its writer from the first byte to the last: a mix of two would be seen. */
function valueOf(writer: number, size: number): Buffer {
  return Buffer.alloc(size, `writer ${writer} `)
}

/** What is wrong with one round, if anything. */
async function race({ driver, key }: Scratch, size: number): Promise<string | undefined> {
  const one = key()
  const values = Array.from({ length: writers }, (_, writer) => valueOf(writer, size))
  // All of them end, also when one fails: what lands later would stay.
  const ends = await Promise.allSettled(values.map((value) => driver.write(one, value, { ifAbsent: true })))
  const lost = ends.find((end) => end.status === 'rejected')
  if (lost !== undefined) throw lost.reason
  const winners = values.filter((_, at) => ends[at]?.status === 'fulfilled' && ends[at].value === 'written')
  const [winner] = winners
  if (winner === undefined) return `none of ${writers} writers was told that it was first`
  if (winners.length > 1) return `${winners.length} of ${writers} writers were told that they were first`
  const read = await driver.read(one)
  if (read?.bytes.equals(winner) !== true) return 'what is stored is not what the first one wrote'
  await driver.remove(one)
  return undefined
}

async function raceOften(scratch: Scratch, size: number) {
  const start = scratch.elapsedMs()
  for (let round = 1; round <= rounds; round++) {
    scratch.signal.throwIfAborted()
    const { value: wrong } = await timed(scratch, () => race(scratch, size))
    if (wrong !== undefined) {
      return failed(
        `${wrong} (round ${round}): the store is not atomic, do not use it; docs/storage.md names some that are`,
      )
    }
  }
  return ok(`one winner in each of ${rounds} rounds, ${showMs((scratch.elapsedMs() - start) / rounds)} a round`)
}

export const raceSteps: readonly Step[] = [
  { name: `create if absent, ${writers} at once`, weight: 'needed', run: (scratch) => raceOften(scratch, 100) },
  {
    name: `create if absent, ${writers} at once, 1 MiB`,
    weight: 'needed',
    run: (scratch) => raceOften(scratch, 1024 * 1024),
  },
]
