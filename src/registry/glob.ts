/**
 * Patterns of repository names and tags. `*` stands for anything within a path segment, `**` for anything at all; before a slash at the start of a
 * segment, `**` also stands for no segment: so does `**` + `/app` match `app`. The whole text must match. All ways to match are followed at
 * once, so the time is at most the product of the two lengths, whatever the pattern.
 */

/** One step of a pattern. A `star` or `stars` takes any number of characters; `jump` may be taken instead of what lies between. */
type Step =
  | { readonly kind: 'character'; readonly character: string }
  | { readonly kind: 'star' | 'stars' }
  | { readonly kind: 'jump'; readonly length: number }

function parseSteps(pattern: string): readonly Step[] {
  const steps: Step[] = []
  for (let i = 0; i < pattern.length;) {
    const character = pattern.charAt(i)
    if (character !== '*') {
      steps.push({ kind: 'character', character })
      i++
      continue
    }
    const start = i
    while (pattern.charAt(i) === '*') i++
    const isSegment = (start === 0 || pattern.charAt(start - 1) === '/') && pattern.charAt(i) === '/'
    if (i - start === 1) steps.push({ kind: 'star' })
    // Over the stars and the slash behind them.
    else if (isSegment) steps.push({ kind: 'jump', length: 3 }, { kind: 'stars' })
    else steps.push({ kind: 'stars' })
  }
  return steps
}

/** Adds a place in the pattern, and those that can be reached from it without a character. */
function reach(steps: readonly Step[], places: Set<number>, from: number): void {
  for (const open = [from]; open.length > 0;) {
    const place = open.pop() ?? 0
    if (places.has(place)) continue
    places.add(place)
    const step = steps[place]
    if (step === undefined || step.kind === 'character') continue
    open.push(place + 1)
    if (step.kind === 'jump') open.push(place + step.length)
  }
}

/** Compiles a pattern; any text is one. */
export function createGlob(pattern: string): (text: string) => boolean {
  const steps = parseSteps(pattern)
  const start = new Set<number>()
  reach(steps, start, 0)
  return (text) => {
    let places = start
    for (const character of text) {
      const next = new Set<number>()
      for (const place of places) {
        const step = steps[place]
        if (step?.kind === 'character' && step.character === character) reach(steps, next, place + 1)
        if (step?.kind === 'stars' || (step?.kind === 'star' && character !== '/')) reach(steps, next, place)
      }
      if (next.size === 0) return false
      places = next
    }
    return places.has(steps.length)
  }
}
