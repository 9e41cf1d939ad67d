/** The packages that the owner of the project has fixed: the server is built on them, whatever else is chosen. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const fixed = ['koa', '@koa/router', 'prom-client', '@aws-sdk/client-s3']

test('the fixed packages are what the server is built on', () => {
  const src = join(import.meta.dirname, '../../src')
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const texts = files.map((file) => readFileSync(join(src, file), 'utf8'))
  for (const name of fixed) {
    // A value is imported, and not only a type.
    const pattern = new RegExp(`^import (?!type).* from '${name}'$`, 'm')
    assert.ok(
      texts.some((text) => pattern.test(text)),
      `nothing in src/ imports ${name}`,
    )
  }
})
