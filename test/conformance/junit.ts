/** Reads the totals of a `junit.xml`: the attributes of its `<testsuite>` elements, where an absent one is 0. */

export interface Totals {
  readonly tests: number
  readonly failures: number
  readonly errors: number
  readonly skipped: number
  readonly disabled: number
}

/** Throws when there is no suite in it: nothing was tested. */
export function parseTotals(xml: string): Totals {
  const suites = [...xml.matchAll(/<testsuite\s([^>]*)>/g)].map((match) => match[1] ?? '')
  if (suites.length === 0) throw new Error('junit.xml holds no <testsuite>')
  const sum = (name: keyof Totals): number =>
    suites.reduce((total, attributes) => total + attributeOf(attributes, name), 0)
  return {
    tests: sum('tests'),
    failures: sum('failures'),
    errors: sum('errors'),
    skipped: sum('skipped'),
    disabled: sum('disabled'),
  }
}

export function isPassed({ tests, failures, errors, skipped, disabled }: Totals, expectedTests: number): boolean {
  return tests >= expectedTests && failures + errors + skipped + disabled === 0
}

function attributeOf(attributes: string, name: string): number {
  return Number(new RegExp(`(?:^|\\s)${name}="(\\d+)"`).exec(attributes)?.[1] ?? 0)
}
