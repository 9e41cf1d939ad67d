import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

/** What each room of src/ may import beside itself; docs/architecture.md draws it. Nothing may import upwards, so there are no cycles. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['cli'],
  cli: ['app.ts', 'http', 'auth', 'registry', 'storage', 'oci', 'config', 'telemetry'],
  'app.ts': ['http', 'auth', 'registry', 'storage', 'oci', 'config', 'telemetry'],
  http: ['auth', 'registry', 'storage', 'oci', 'telemetry'],
  auth: ['oci'],
  registry: ['storage', 'oci'],
  storage: [],
  oci: [],
  config: [],
  telemetry: [],
}

const root = join(import.meta.dirname, '../..')
const files = globSync('src/**/*.ts', { cwd: root })
const roomOf = (path: string) => path.split('/')[1] ?? ''
const textOf = (path: string) => readFileSync(join(root, path), 'utf8')

test('every room of src/ has its imports drawn', () => {
  assert.deepEqual(
    [...new Set(files.map(roomOf))].filter((room) => !Object.hasOwn(mayImport, room)),
    [],
  )
})

test('imports go down: main → cli → app → http → auth → registry → storage; oci for all but storage; config and telemetry are leaves', () => {
  const wrong = files.flatMap((path) =>
    [...textOf(path).matchAll(/(?:from|import)\s*\(?'(\.[^']+\.ts)'/g)]
      .map(([, target = '']) => roomOf(join(dirname(path), target)))
      .filter((room) => room !== roomOf(path) && mayImport[roomOf(path)]?.includes(room) !== true)
      .map((room) => `${path} imports ${room}`),
  )
  assert.deepEqual(wrong, [])
})

test('only main.ts touches the environment, the arguments, the signals, the streams and the end of the process', () => {
  const touching = files.filter((path) => /\bprocess\.(env|argv|exit|exitCode|on|stdout|stderr)\b/.test(textOf(path)))
  assert.deepEqual(touching, ['src/main.ts'])
})

test('every file says first what it owns', () => {
  assert.deepEqual(
    files.filter((path) => !/^(#!.*\n)?\/\*\*/.test(textOf(path))),
    [],
  )
})
