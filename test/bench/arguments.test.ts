import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from './arguments.ts'

test('without words it is three rounds of everything', () => {
  const { isQuick, rounds, only } = parseOptions([])
  assert.deepEqual({ isQuick, rounds, matches: only.test('HEAD blob') }, { isQuick: false, rounds: 3, matches: true })
})

test('--quick is one round, unless --rounds says another number', () => {
  assert.equal(parseOptions(['--quick']).rounds, 1)
  assert.equal(parseOptions(['--quick', '--rounds', '4']).rounds, 4)
})

test('--only matches names whatever the case', () => {
  const { only } = parseOptions(['--only', 'head|mount'])
  assert.deepEqual(
    ['HEAD blob, 1 connection', 'mount', 'start'].map((name) => only.test(name)),
    [true, true, false],
  )
})

for (const [words, message] of [
  [['--rounds', '0'], /--rounds takes a number from 1 to 999, not "0"/],
  [['--rounds', 'many'], /not "many"/],
  [['--rounds'], /--rounds/],
  [['--only', '('], /--only takes a regular expression/],
  [['--fast'], /--fast/],
  [['5'], /5/],
] as const) {
  test(`"${words.join(' ')}" is refused`, () => assert.throws(() => parseOptions(words), message))
}
