import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { text } from '../../src/config/option.ts'
import { listOptions } from '../../src/config/schema.ts'
import { describeWritten } from '../../src/config/setting.ts'

const rows = listOptions()

test('every default is a good value', () => {
  for (const { path, schema } of rows) assert.ok(v.is(schema, schema.option.default), path)
})

test('every reason is one line that ends in a full stop', () => {
  for (const { path, schema } of rows) assert.match(schema.option.reason, /^[^\n]{10,125}\.$/, path)
})

test('amounts carry their unit in the name, and nothing else does', () => {
  for (const { keys, path, schema } of rows) {
    const name = keys.at(-1) ?? ''
    assert.equal(name.endsWith('Ms'), schema.option.kind === 'duration', path)
    assert.equal(name.endsWith('Bytes'), schema.option.kind === 'size', path)
  }
})

test('no two options share a variable, also with _FILE behind it', () => {
  const names = rows.flatMap(({ variable }) => [variable, `${variable}_FILE`])
  assert.equal(new Set([...names, 'BERTH_CONFIG']).size, rows.length * 2 + 1)
  for (const { variable } of rows) assert.match(variable, /^BERTH(_[A-Z][A-Z0-9]*)+$/)
})

test('a secret is not shown when it is wrong', () => {
  const { option } = text({ default: 'x', reason: 'A test.', secret: 'secret' })
  assert.equal(describeWritten('hunter2', option), 'a value that is not shown')
})
