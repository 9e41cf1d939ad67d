import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { logMessages } from '../../src/telemetry/page.ts'

const root = join(import.meta.dirname, '../..')
const source = globSync('src/**/*.ts', { cwd: root, exclude: ['src/telemetry/page.ts'] })
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
