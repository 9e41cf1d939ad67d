import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createGlob } from '../../src/registry/glob.ts'

const table: readonly [pattern: string, matches: readonly string[], others: readonly string[]][] = [
  ['team/app', ['team/app'], ['team/app2', 'a/team/app', 'team']],
  ['*', ['app', 'v1.2'], ['team/app']],
  ['**', ['app', 'team/app', 'a/b/c'], []],
  ['team/*', ['team/app'], ['team', 'team/a/b', 'teams/app']],
  ['team/**', ['team/app', 'team/a/b'], ['team', 'teams/app']],
  ['**/app', ['app', 'team/app', 'a/b/app'], ['myapp', 'team/app2']],
  ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['a/xb', 'ab']],
  ['v*', ['v1', 'v'], ['av1']],
  ['*.*.*', ['1.2.3', 'v1.2.3-rc.1'], ['1.2']],
  ['release-**', ['release-1', 'release-a/b'], ['release']],
  ['***', ['a/b'], []],
  ['', [''], ['a']],
]

/** The same language as a regular expression; only for patterns that are short enough for it. */
function toRegExp(pattern: string): RegExp {
  const source = pattern
    .replaceAll('.', '\\.')
    .replace(/(^|(?<=\/))\*{2,}\/|\*{2,}|\*/g, (stars) =>
      stars.endsWith('/') ? '(?:.*/)?' : stars.length > 1 ? '.*' : '[^/]*',
    )
  return new RegExp(`^${source}$`)
}

describe('a pattern', () => {
  for (const [pattern, matches, others] of table) {
    it(`${pattern} matches ${matches.join(' ')}, not ${others.join(' ')}`, () => {
      const glob = createGlob(pattern)
      for (const text of matches) assert.equal(glob(text), true, text)
      for (const text of others) assert.equal(glob(text), false, text)
    })
  }

  it('matches what the regular expression of it matches', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 10 })
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '*', '**'), maxLength: 6 })
    fc.assert(
      fc.property(pattern, text, (written, given) => {
        assert.equal(createGlob(written)(given), toRegExp(written).test(given))
      }),
      { numRuns: 3000 },
    )
  })

  it('without stars matches itself alone', () => {
    const text = fc.stringMatching(/^[a-z0-9./-]{0,20}$/)
    fc.assert(fc.property(text, text, (a, b) => assert.equal(createGlob(a)(b), a === b)))
  })

  it('takes no longer than the product of the lengths', () => {
    const glob = createGlob(`${'**a*'.repeat(75)}b`)
    const start = performance.now()
    assert.equal(glob('a'.repeat(253)), false)
    assert.ok(performance.now() - start < 1000)
  })
})
