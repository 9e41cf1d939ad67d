import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { renderConfigurationPage, renderEffective } from '../../src/config/page.ts'
import { listOptions } from '../../src/config/schema.ts'

const root = new URL('../../', import.meta.url)
const loadSample = (name: string) => loadConfig({ environment: {}, file: new URL(`config/${name}`, root).pathname })

test('the annotated sample is the defaults', () => {
  const sample = loadSample('berth.yaml')
  assert.deepEqual(sample.config, loadConfig({ environment: {} }).config)
  for (const row of listOptions()) assert.notEqual(sample.settingOf(row), undefined, row.path)
})

test('every sample loads', () => {
  for (const name of readdirSync(new URL('config/', root))) loadSample(name)
  assert.equal(loadSample('minimal.yaml').config.http.address, '0.0.0.0')
  assert.equal(loadSample('s3.yaml').config.storage.kind, 's3')
})

test('the page names every option, its variable, default and reason', () => {
  const page = renderConfigurationPage()
  for (const { path, variable, schema } of listOptions()) {
    for (const text of [`### ${path}\n`, `\`${variable}\``, schema.option.reason]) assert.ok(page.includes(text), text)
  }
})

test('the effective configuration is a configuration file with the same values, and says where each comes from', () => {
  const environment = { BERTH_HTTP_PORT: '5005', BERTH_STORAGE_FILESYSTEM_ROOT: '12: "x" #' }
  const loaded = loadConfig({ environment })
  const printed = renderEffective(loaded.settingOf)
  assert.match(printed, /^ {2}port: 5005 # BERTH_HTTP_PORT$/m)
  assert.match(printed, /^ {2}pageSize: 1000 # default$/m)
  assert.deepEqual(loadConfig({ environment: {}, file: 'x', readText: () => printed }).config, loaded.config)
})
