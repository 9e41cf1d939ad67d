/** What a soak prints. */

export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function printCounts(title: string, counts: ReadonlyMap<string, number>): void {
  const sorted = [...counts].sort(([left], [right]) => left.localeCompare(right))
  say(`${title}: ${sorted.map(([kind, count]) => `${kind} ${count}`).join(', ')}`)
}

const parts = 12

/** The largest resident memory in each part of the time. */
export function createMemoryChart(durationMs: number) {
  const peaks = new Map<string, number[]>()
  return {
    add(kind: string, atMs: number, bytes: number): void {
      const peak = peaks.get(kind) ?? Array.from({ length: parts }, () => 0)
      const part = Math.min(parts - 1, Math.floor((atMs / durationMs) * parts))
      peak[part] = Math.max(peak[part] ?? 0, bytes)
      peaks.set(kind, peak)
    },
    print(): void {
      for (const [kind, peak] of peaks) {
        say(`peak memory of a ${kind} in MiB: ${peak.map((bytes) => Math.round(bytes / 1_048_576)).join(' ')}`)
      }
    },
  }
}
