import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

test('what was compiled is kept beside the code, for the next start', () => {
  const root = join(import.meta.dirname, '../..')
  const tell =
    'import { getCompileCacheDir } from "node:module"; process.on("exit", () => console.log(getCompileCacheDir()))'
  const options = `--import=data:text/javascript,${encodeURIComponent(tell)}`
  // A person may have set them for all of their programs.
  const foreign = new Set(['NODE_COMPILE_CACHE', 'NODE_DISABLE_COMPILE_CACHE'])
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.has(name)))
  const env = { ...inherited, NODE_OPTIONS: options }
  const { stdout } = spawnSync(process.execPath, [join(root, 'bin/berth.js'), 'version'], { env, encoding: 'utf8' })
  const folder = stdout.trim().split('\n').at(-1) ?? ''
  assert.ok(folder.startsWith(join(root, 'node_modules/.cache/berth/')), stdout)
  assert.ok(readdirSync(folder).length > 100)
})
