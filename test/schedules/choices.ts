/** Where a schedule comes from: a seed, or a list of choices that an exhaustive search extends. */

/** What can happen next: a call of a process, a jump of time, a kill. */
export interface Option {
  readonly kind: 'call' | 'time' | 'kill'
  /** Whose call it is; for time and kills what it is. */
  readonly actor: string
}

/** Decides what happens next. The first options are calls of whoever ran last, if it can go on. */
export interface Chooser {
  pick(options: readonly Option[], canContinue: 'can continue' | 'must switch'): number
}

/** Numbers from 0 to below 1 that depend on the seed alone (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** How likely the running process goes on: races need few interruptions, but at the right places. */
const stickiness = [0, 0.5, 0.8, 0.9]

/** Goes on with whoever ran last with a likelihood that differs from schedule to schedule. */
function createStickyChooser(random: () => number): Chooser {
  const stay = stickiness[Math.floor(random() * stickiness.length)] ?? 0
  return {
    pick(options, canContinue) {
      if (canContinue === 'can continue' && random() < stay) return 0
      return Math.floor(random() * options.length)
    },
  }
}

/** About as many steps as a schedule has; where things happen is drawn from them. */
const usualSteps = 60

/**
 * Runs whoever has the highest priority; at a few random steps he loses it, or time jumps, or somebody is killed. Finds what needs few interruptions
 * at just the right places (Burckhardt and others, "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs").
 */
function createPriorityChooser(random: () => number): Chooser {
  const priorities = new Map<string, number>()
  const drawSteps = (most: number): Set<number> =>
    new Set(Array.from({ length: Math.floor(random() * (most + 1)) }, () => Math.floor(random() * usualSteps)))
  const losses = drawSteps(4)
  const events = drawSteps(3)
  let step = 0
  let lowest = 0
  return {
    pick(options) {
      step++
      const happenings = options.flatMap(({ kind }, i) => (kind === 'call' ? [] : [i]))
      if (events.has(step) && happenings.length > 0) return happenings[Math.floor(random() * happenings.length)] ?? 0
      for (const { kind, actor } of options) {
        if (kind === 'call' && !priorities.has(actor)) priorities.set(actor, random())
      }
      const rank = ({ kind, actor }: Option): number => (kind === 'call' ? (priorities.get(actor) ?? 0) : -Infinity)
      const best = options.reduce((highest, each) => Math.max(highest, rank(each)), -Infinity)
      const candidates = options.flatMap((each, i) => (rank(each) === best ? [i] : []))
      const chosen = candidates[Math.floor(random() * candidates.length)] ?? 0
      if (losses.has(step)) priorities.set(options[chosen]?.actor ?? '', --lowest)
      return chosen
    },
  }
}

/** A random schedule: the seed decides everything. */
export function createRandomChooser(seed: number): Chooser {
  const random = createRandom(seed)
  return random() < 0.3 ? createStickyChooser(random) : createPriorityChooser(random)
}

export interface Decision {
  readonly options: number
  readonly chosen: number
  /** Choosing anything but the first interrupts a process that could go on. */
  readonly isInterruption: boolean
}

/** Follows a list of choices, then always goes on with whoever ran last; remembers every decision. */
export function createListedChooser(choices: readonly number[]): Chooser & { readonly decisions: readonly Decision[] } {
  const decisions: Decision[] = []
  return {
    decisions,
    pick(options, canContinue) {
      const chosen = Math.min(choices[decisions.length] ?? 0, options.length - 1)
      decisions.push({ options: options.length, chosen, isInterruption: canContinue === 'can continue' })
      return chosen
    },
  }
}

/** Every list of choices with at most `maxInterruptions`, depth first; `run` follows one and returns the decisions it met. */
export async function exhaust(
  maxInterruptions: number,
  run: (choices: readonly number[]) => Promise<readonly Decision[]>,
): Promise<number> {
  const open: (readonly number[])[] = [[]]
  let runs = 0
  for (let choices = open.pop(); choices !== undefined; choices = open.pop()) {
    const decisions = await run(choices)
    runs++
    let interruptions = decisions
      .slice(0, choices.length)
      .filter((each) => each.isInterruption && each.chosen > 0).length
    for (let i = choices.length; i < decisions.length; i++) {
      const { options = 0, isInterruption = false } = decisions[i] ?? {}
      if (isInterruption && interruptions >= maxInterruptions) continue
      const before = decisions.slice(0, i).map(({ chosen }) => chosen)
      for (let other = 1; other < options; other++) open.push([...before, other])
    }
    interruptions = 0
  }
  return runs
}
