import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createCounts } from '../../src/registry/sweep/context.ts'
import { lineFields, logMessages } from '../../src/telemetry/lines.ts'

const root = join(import.meta.dirname, '../..')
const source = globSync('src/**/*.ts', { cwd: root, exclude: ['src/telemetry/lines.ts'] })
  .map((path) => readFileSync(join(root, path), 'utf8'))
  .join('\n')

test('every message that is written to the log is explained', () => {
  const messages = [...source.matchAll(/\b(?:log|logger)\.(?:debug|info|warn|error)\(\s*'([^']+)'/g)]
  const unknown = messages.map(([, message = '']) => message).filter((message) => !Object.hasOwn(logMessages, message))
  assert.ok(messages.length > 5)
  assert.deepEqual(unknown, [])
})

test('every message that is explained is written somewhere', () => {
  assert.deepEqual(
    Object.keys(logMessages).filter((message) => !source.includes(`'${message}'`)),
    [],
  )
})

test('every field of a line is explained, and no other', () => {
  const calls = source.matchAll(
    /\b(?:log|logger)\.(?:debug|info|warn|error)\(\s*'([^']+)'(?:,\s*\{([^{}]*)\})?,?\s*\)/g,
  )
  let compared = 0
  for (const [, message = '', literal = ''] of calls) {
    // What is spread into a line is compared below.
    if (literal.includes('...')) continue
    const fields = [...literal.matchAll(/(?:^|,)\s*(\w+)/g)].map(([, field]) => field)
    assert.deepEqual(fields, logMessages[message]?.fields, message)
    compared++
  }
  assert.ok(compared > 10)
  const used = new Set(Object.values(logMessages).flatMap(({ fields }) => fields))
  assert.deepEqual([...used].sort(), Object.keys(lineFields))
})

/** The names of the properties of an interface, as it is written. */
function propertiesOf(name: string): readonly string[] {
  const [, body = ''] = new RegExp(`export interface ${name} (?:extends \\w+ )?\\{\n([^]*?)\n\\}`).exec(source) ?? []
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, property = '']) => property)
}

test('the fields of lines that tell of a start and of runs are explained', () => {
  assert.deepEqual(logMessages['Berth listens']?.fields, propertiesOf('Started'))
  const retention = [...propertiesOf('RetentionCounts'), 'durationMs']
  assert.deepEqual(logMessages['retention rules applied']?.fields, retention)
  const sweep = [...Object.keys(createCounts()), 'failure', 'durationMs']
  assert.deepEqual([...(logMessages['swept']?.fields ?? [])].sort(), sweep.sort())
})
