import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ConfigError, loadConfig } from '../../src/config/load.ts'
import { renderEffective } from '../../src/config/page.ts'

const load = (text: string, environment: Record<string, string> = {}) =>
  loadConfig({ environment, file: 'berth.yaml', readText: () => text })

function problemsOf(text: string, environment: Record<string, string> = {}): string[] {
  try {
    load(text, environment)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim())
  }
  return []
}

const rules = [{ repositories: 'team/**', tags: 'pr-*', keepLast: 3, maxAgeMs: 604_800_000 }]
const inFile = 'retention:\n  rules:\n    - { repositories: team/**, tags: pr-*, keepLast: 3, maxAge: 7d }\n'
const inVariable = '[{ "repositories": "team/**", "tags": "pr-*", "keepLast": 3, "maxAge": "7d" }]'

describe('a list', () => {
  test('is none by default, and frozen', () => {
    const { config } = load('')
    assert.deepEqual([config.retention.rules, config.registry.immutableTags], [[], []])
    assert.ok(Object.isFrozen(load(inFile).config.retention.rules[0]))
  })

  test('is read from the file, and from a variable as YAML or JSON', () => {
    assert.deepEqual(load(inFile).config.retention.rules, rules)
    assert.deepEqual(load('', { BERTH_RETENTION_RULES: inVariable }).config.retention.rules, rules)
    const yaml = '- repositories: team/**\n  tags: pr-*\n  keepLast: 3\n  maxAge: 7d\n'
    assert.deepEqual(load('', { BERTH_RETENTION_RULES: yaml }).config.retention.rules, rules)
  })

  test('may use anchors', () => {
    const text = 'retention: { rules: [&a { repositories: x, untagged: 7d }, *a] }'
    assert.equal(load(text).config.retention.rules[1]?.untaggedMs, 604_800_000)
  })

  for (const environment of [{}, { BERTH_RETENTION_RULES: inVariable }]) {
    test(`is printed so that it can be loaded again (${Object.keys(environment).length} variables)`, () => {
      const loaded = load(inFile, environment)
      assert.deepEqual(load(renderEffective(loaded.settingOf)).config, loaded.config)
    })
  }
})

const bad: readonly [what: string, rules: string, ...expected: RegExp[]][] = [
  [
    'a mistyped field',
    '[{ repositories: a, keepLas: 1 }]',
    /retention.rules\[0\].keepLas: unknown option; did you mean keepLast\?$/,
  ],
  [
    'the name in the code',
    '[{ repositories: a, maxAgeMs: 1 }]',
    /\[0\].maxAgeMs: unknown option; did you mean maxAge\?$/,
  ],
  ['a missing field', '[{ tags: a }]', /retention.rules\[0\].repositories: is missing, expected a pattern/],
  [
    'a bad value',
    '[{ repositories: a }, { repositories: a, maxAge: 5 }]',
    /retention.rules\[1\].maxAge: found 5, expected a duration from/,
  ],
  ['a bad pattern', '[{ repositories: "a b" }]', /\[0\].repositories: found "a b", expected a pattern/],
  [
    'an entry that is no section',
    '[team]',
    /retention.rules\[0\]: found "team", expected a section with repositories, tags,/,
  ],
  ['a value instead of the list', '5', /retention.rules: found 5, expected a list whose entries have/],
  [
    'everything at once',
    '[{ repositories: 1, keepLast: 0 }, 3]',
    /\[0\].repositories/,
    /\[0\].keepLast/,
    /\[1\]: found 3/,
  ],
  ['a key like a built-in', '[{ repositories: a, constructor: 1 }]', /\[0\].constructor: unknown option$/],
]

describe('what is wrong in a list is refused with its place', () => {
  for (const [what, written, ...expected] of bad) {
    test(what, () => {
      const problems = problemsOf(`retention:\n  rules: ${written}\n`)
      assert.equal(problems.length, expected.length, problems.join('\n'))
      for (const [n, pattern] of expected.entries()) {
        assert.match(problems[n] ?? '', pattern)
        assert.match(problems[n] ?? '', /^berth.yaml:2: /)
      }
      if (written === '5') return
      const inVariable = problemsOf('', { BERTH_RETENTION_RULES: written })
      assert.deepEqual(
        inVariable,
        problems.map((line) => line.replace('berth.yaml:2', 'BERTH_RETENTION_RULES')),
      )
    })
  }

  test('a key that an entry has twice', () => {
    const [problem] = problemsOf('retention:\n  rules:\n    - repositories: a\n      repositories: b\n')
    assert.match(problem ?? '', /^berth.yaml:4: retention.rules\[0\].repositories: is written twice$/)
    assert.match(
      problemsOf('', { BERTH_RETENTION_RULES: '[{repositories: a, repositories: b}]' })[0] ?? '',
      /expected a list/,
    )
  })

  test('text that is no YAML', () => {
    assert.match(
      problemsOf('', { BERTH_RETENTION_RULES: '[{' })[0] ?? '',
      /^BERTH_RETENTION_RULES: found "\[\{", expected a list/,
    )
  })
})
