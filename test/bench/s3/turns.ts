/** Several ways of the same, in turns: what the machine does beside falls on all of them. */
import { median, medianInterval } from '../statistics.ts'
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

export const tableHead = '\n| operation | MiB/s | of straight, 95 % interval | target |\n|---|---|---|---|'

/** The ratio of the medians, and half the width of its 95 % interval where each has six values: chance in this run, not what differs from run to run. */
function formatShare(speeds: readonly number[], others: readonly number[]): string {
  const share = median(speeds) / median(others)
  const [half, otherHalf] = [medianInterval(speeds), medianInterval(others)]
  if (speeds === others || half === undefined || otherHalf === undefined) return share.toFixed(3)
  const spread = share * Math.hypot(half / median(speeds), otherHalf / median(others))
  return `${share.toFixed(3)} ± ${spread.toFixed(3)}`
}

/** Prints a row for each, of the medians. The verdict is about the ratio that was measured. */
export async function measure(ways: readonly Way[], { streams, warmUps = 0, rounds, tidy }: Turns): Promise<void> {
  const timed = ways.map((way) => ({ ...way, speeds: new Array<number>() }))
  for (let round = 0; round < warmUps + rounds; round++) {
    // In twice as many rounds as there are ways, each comes first as often as the others, and behind one and behind another.
    const first = round % timed.length
    const order = [...timed.slice(first), ...timed.slice(0, first)]
    const isBackwards = Math.floor(round / timed.length) % 2 === 1
    for (const { move, speeds } of isBackwards ? order.toReversed() : order) {
      const speed = await move(streams)
      if (round >= warmUps) speeds.push(speed)
      await tidy?.()
    }
  }
  const straight = timed[0]?.speeds ?? []
  for (const { name, target, speeds } of timed) {
    const holds = target !== undefined && median(speeds) / median(straight) >= target
    const verdict = target === undefined ? '' : `${target}: ${holds ? 'holds' : 'DOES NOT HOLD'}`
    const cells = [`${name}, ${streams} at once`, median(speeds).toFixed(0), formatShare(speeds, straight), verdict]
    console.log(`| ${cells.join(' | ')} |`)
  }
}
