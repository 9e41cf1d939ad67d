/** Several ways of the same, in turns: what the machine does beside falls on all of them. */
import { median } from '../statistics.ts'
import type { Move } from './transfers.ts'

/** The first of some ways is what the others are compared with. */
export interface Way {
  readonly name: string
  readonly move: Move
  /** The share of the first that is wanted, if one is. */
  readonly target?: number
}

export interface Turns {
  readonly streams: number
  readonly warmUps?: number
  readonly rounds: number
  /** After each. */
  readonly tidy?: () => Promise<void>
}

export const tableHead = '\n| operation | MiB/s | of straight | target |\n|---|---|---|---|'

/** Prints a row for each, of the medians. */
export async function measure(ways: readonly Way[], { streams, warmUps = 0, rounds, tidy }: Turns): Promise<void> {
  const timed = ways.map((way) => ({ ...way, speeds: new Array<number>() }))
  for (let round = 0; round < warmUps + rounds; round++) {
    // Each comes first as often as the others, and behind one and behind another.
    const first = round % timed.length
    const order = [...timed.slice(first), ...timed.slice(0, first)]
    const isBackwards = Math.floor(round / timed.length) % 2 === 1
    for (const { move, speeds } of isBackwards ? order.toReversed() : order) {
      speeds.push(await move(streams))
      await tidy?.()
    }
  }
  const speedOf = (way: (typeof timed)[number] | undefined): number => median(way?.speeds.slice(warmUps) ?? [])
  const straight = speedOf(timed[0])
  for (const way of timed) {
    const share = speedOf(way) / straight
    const verdict = way.target === undefined ? '' : `${way.target}: ${share >= way.target ? 'holds' : 'DOES NOT HOLD'}`
    console.log(`| ${way.name}, ${streams} at once | ${speedOf(way).toFixed(0)} | ${share.toFixed(3)} | ${verdict} |`)
  }
}
