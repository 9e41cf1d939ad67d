import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isPassed, parseTotals } from './junit.ts'

describe('the totals of a conformance run', () => {
  it('are the attributes of the suite; an absent one is 0', () => {
    const totals = parseTotals(
      '<testsuites tests="9"><testsuite name="a skipped=1" tests="982" failures="2"></testsuite>',
    )
    assert.deepEqual(totals, { tests: 982, failures: 2, errors: 0, skipped: 0, disabled: 0 })
  })

  it('are summed over several suites', () => {
    const totals = parseTotals('<testsuite tests="2" skipped="1"/><testsuite tests="3" disabled="4" errors="1"/>')
    assert.deepEqual(totals, { tests: 5, failures: 0, errors: 1, skipped: 1, disabled: 4 })
  })

  it('do not exist without a suite', () => {
    assert.throws(() => parseTotals('<testsuites></testsuites>'))
  })

  it('pass with enough tests and nothing else', () => {
    const good = { tests: 982, failures: 0, errors: 0, skipped: 0, disabled: 0 }
    assert.ok(isPassed(good, 982))
    for (const bad of [{ tests: 981 }, { failures: 1 }, { errors: 1 }, { skipped: 1 }, { disabled: 1 }]) {
      assert.ok(!isPassed({ ...good, ...bad }, 982))
    }
  })
})
