/** What several processes did to the same records and were answered, and whether one order of events explains it. */
import assert from 'node:assert/strict'

interface Write {
  readonly key: string
  readonly start: number
  /** `Infinity` when the writer was killed before the answer. */
  end: number
}

interface Read {
  readonly key: string
  /** The value that was read; `undefined` for absent. */
  readonly id: string | undefined
  readonly start: number
  readonly end: number
}

interface Removal {
  readonly key: string
  /** The value that was to be removed if unchanged. */
  readonly id: string
  readonly start: number
  end: number
  result: string
}

export interface History {
  readonly writes: Map<string, Write>
  readonly reads: Read[]
  readonly removals: Removal[]
  readonly lists: { readonly keys: readonly string[]; readonly start: number }[]
}

export function parseHistory(lines: readonly unknown[]): History {
  const history: History = { writes: new Map(), reads: [], removals: [], lists: [] }
  const entries: Readonly<Record<string, unknown>>[] = lines.map((line) => Object(line))
  for (const { type, key, id, start, end, keys } of entries) {
    if (type === 'publish') history.writes.set(text(id), { key: text(key), start: number(start), end: Infinity })
    if (type === 'list') history.lists.push({ keys: array(keys), start: number(start) })
    if (type === 'remove') {
      history.removals.push({ key: text(key), id: text(id), start: number(start), end: Infinity, result: 'unknown' })
    }
    if (type === 'read') {
      const read = { key: text(key), start: number(start), end: number(end) }
      history.reads.push({ ...read, id: id === undefined ? undefined : text(id) })
    }
  }
  for (const { type, id, end, result } of entries) {
    const write = type === 'published' ? history.writes.get(text(id)) : undefined
    if (write !== undefined) write.end = number(end)
    if (type !== 'removed') continue
    // Of two removals of one value the answers need not be told apart: only what was possible counts.
    const removal = history.removals.find((one) => one.id === id && one.result === 'unknown' && one.start < number(end))
    if (removal !== undefined) Object.assign(removal, { end: number(end), result: text(result) })
  }
  return history
}

/** The contradictions, as sentences; none when all is well. */
export function checkHistory(history: History): string[] {
  return ['tags/replaced/kept', 'tags/replaced/dropped'].flatMap((key) => checkKey(history, key)).slice(0, 10)
}

function checkKey({ writes, reads, removals, lists }: History, key: string): string[] {
  const problems: string[] = []
  const written = [...writes.entries()].filter(([, write]) => write.key === key)
  const acknowledged = written.filter(([, write]) => write.end < Infinity).map(([, { start, end }]) => ({ start, end }))
  const startOf = (id: string) => writes.get(id)?.start ?? -Infinity
  const endOf = (id: string) => writes.get(id)?.end ?? -Infinity
  const ours = reads.filter((read) => read.key === key)
  /** The youngest value (by the start of its write) that was acknowledged before a moment. */
  const newestWrite = createPrefixMax(acknowledged.map(({ start, end }) => [end, start]))
  /** The same of values that were read before a moment. */
  const newestRead = createPrefixMax(ours.flatMap(({ id, end }) => (id === undefined ? [] : [[end, startOf(id)]])))
  const removed = removals.filter((removal) => removal.key === key && ['removed', 'unknown'].includes(removal.result))

  for (const read of ours) {
    const { id, start } = read
    if (id === undefined) {
      if (!explainsAbsence(read, newestWrite(start), removed, endOf)) {
        problems.push(`${key} was read as absent at ${start}, and was there`)
      }
      continue
    }
    if (!writes.has(id)) problems.push(`${key} was read with a value that nobody wrote`)
    if (endOf(id) < newestWrite(start))
      problems.push(`${key}: ${id} was read at ${start}, when a newer value was acknowledged`)
    if (endOf(id) < newestRead(start)) problems.push(`${key}: ${id} was read at ${start}, after a newer value was read`)
    const gone = removed.find((one) => one.id === id && one.result === 'removed' && one.end < start)
    if (gone !== undefined) problems.push(`${key}: ${id} was read at ${start} and had been removed at ${gone.end}`)
  }
  const first = Math.min(...acknowledged.map(({ end }) => end))
  if (key.endsWith('kept')) {
    if (removed.length > 0) problems.push(`${key} was removed by the test`)
    if (ours.some((read) => read.id === undefined && read.start > first))
      problems.push(`${key} was absent for a reader`)
    for (const { keys, start } of lists) {
      if (start > first && !keys.includes(key)) problems.push(`${key} was missing in a list at ${start}`)
    }
  }
  return problems
}

/**
 * Absence is right when the youngest value acknowledged before it, or a value that may be younger, may have been removed before the read
 * ended; or when nothing had been acknowledged.
 */
function explainsAbsence(
  { end }: Read,
  youngest: number,
  removed: readonly Removal[],
  endOf: (id: string) => number,
): boolean {
  if (youngest === -Infinity) return true
  return removed.some((removal) => removal.start < end && endOf(removal.id) >= youngest)
}

/** Of pairs of a time and a value: the greatest value whose time is before a moment; `-Infinity` when there is none. */
function createPrefixMax(pairs: readonly (readonly number[])[]): (moment: number) => number {
  const sorted = pairs.map(([time = 0, value = 0]) => ({ time, value })).sort((a, b) => a.time - b.time)
  let greatest = -Infinity
  const maxima = sorted.map(({ time, value }) => {
    greatest = Math.max(greatest, value)
    return { time, greatest }
  })
  return (moment) => {
    let low = 0
    let high = maxima.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((maxima[middle]?.time ?? Infinity) < moment) low = middle + 1
      else high = middle
    }
    return maxima[low - 1]?.greatest ?? -Infinity
  }
}

function text(value: unknown): string {
  assert.ok(typeof value === 'string')
  return value
}

function number(value: unknown): number {
  assert.ok(typeof value === 'number')
  return value
}

function array(value: unknown): string[] {
  assert.ok(Array.isArray(value))
  return value.map(text)
}
