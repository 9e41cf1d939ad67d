import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ConfigError, loadConfig } from '../../src/config/load.ts'
import { listOptions } from '../../src/config/schema.ts'

const defaults = loadConfig({ environment: {} }).config

/** Loads a file of this text (and other files, by path). */
function load(text: string, environment: Record<string, string> = {}, files: Record<string, string> = {}) {
  const readText = (path: string) => {
    const content = { 'berth.yaml': text, ...files }[path]
    if (content === undefined) throw Object.assign(new Error(`ENOENT ${path}`), { code: 'ENOENT' })
    return content
  }
  return loadConfig({ environment, file: 'berth.yaml', readText })
}

/** The lines of the report. */
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

describe('values', () => {
  test('without a file and variables every option has its default', () => {
    assert.equal(defaults.http.address, '127.0.0.1')
    assert.equal(defaults.http.port, 5000)
    assert.equal(defaults.http.bodyIdleTimeoutMs, 60_000)
    assert.equal(defaults.http.maxManifestBytes, 4_194_304)
    assert.equal(defaults.storage.filesystem.root, './data')
    assert.equal(defaults.registry.leaseMs, 86_400_000)
    assert.equal(defaults.pulse.enabled, true)
  })

  test('all of it is frozen', () => {
    assert.ok(
      Object.isFrozen(defaults) && Object.isFrozen(defaults.http) && Object.isFrozen(defaults.storage.filesystem),
    )
  })

  test('the file wins over the default, the variable over the file', () => {
    const { config } = load('http:\n  port: 1\n  pageSize: 2\n', { BERTH_HTTP_PORT: '3' })
    assert.deepEqual([config.http.port, config.http.pageSize, config.http.maxRanges], [3, 2, 1024])
  })

  test('every option can be given by its variable', () => {
    const environment = Object.fromEntries(
      listOptions().map(({ variable, schema: { option } }) => [
        variable,
        option.kind === 'list' ? '[]' : String(option.default),
      ]),
    )
    assert.deepEqual(loadConfig({ environment }).config, defaults)
  })

  test('a variable that ends in _FILE names the file with the value; one newline at its end is not part of it', () => {
    const { config } = load('', { BERTH_STORAGE_FILESYSTEM_ROOT_FILE: '/run/root' }, { '/run/root': '/srv/berth\n' })
    assert.equal(config.storage.filesystem.root, '/srv/berth')
  })

  test('BERTH_CONFIG names the file when nothing else does', () => {
    const environment = { BERTH_CONFIG: 'other.yaml' }
    assert.equal(loadConfig({ environment, readText: () => 'http: { port: 7 }' }).config.http.port, 7)
  })

  test('an empty file, an empty section and an anchor are fine', () => {
    assert.deepEqual(load('').config, defaults)
    assert.deepEqual(load('http:\nlog: {}\n').config, defaults)
    assert.equal(load('http: { address: &a "::1" }\npulse: { address: *a }').config.pulse.address, '::1')
  })

  test('what Kubernetes sets for a service called berth is not meant for us', () => {
    const environment = {
      BERTH_SERVICE_HOST: '10.0.0.1',
      BERTH_SERVICE_PORT: '5000',
      BERTH_SERVICE_PORT_HTTP: '5000',
      BERTH_PORT: 'tcp://10.0.0.1:5000',
      BERTH_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
      BERTH_PORT_5000_TCP_ADDR: '10.0.0.1',
      BERTH_HTTP_SERVICE_HOST: '10.0.0.1',
    }
    assert.deepEqual(load('', environment).config, defaults)
  })
})

const bad: readonly [what: string, text: string, environment: Record<string, string>, ...expected: RegExp[]][] = [
  ['an unknown key', 'http:\n  prot: 1', {}, /^berth.yaml:2: http.prot: unknown option; did you mean port\?$/],
  ['a key of another section', 'port: 1', {}, /^berth.yaml:1: port: unknown option; did you mean http.port\?$/],
  ['the name in the code', 'http: { bodyIdleTimeoutMs: 1 }', {}, /did you mean bodyIdleTimeout\?$/],
  [
    'a key like a built-in',
    'constructor: 1\n__proto__: 2',
    {},
    /constructor: unknown option$/,
    /__proto__: unknown option$/,
  ],
  ['a key that is no text', '? [a]\n: 1', {}, /unknown option$/],
  [
    'a key given twice',
    'http:\n  port: 1\n  port: 1',
    {},
    /^berth.yaml:3: http.port: is written twice, on line 2 already$/,
  ],
  ['a section given twice', 'log:\n  level: info\nlog:\n  level: info', {}, /^berth.yaml:3: log: is written twice/],
  [
    'a number without its unit',
    'http: { bodyIdleTimeout: 60 }',
    {},
    /found 60, expected a duration from 1s to 1h: .* like 60s$/,
  ],
  ['a number out of range', 'http: { port: 65536 }', {}, /found 65536, expected a whole number from 0 to 65535$/],
  ['a fraction', 'http: { port: 1.5 }', {}, /found 1.5, expected a whole number/],
  [
    'a manifest limit below the specification',
    'http: { maxManifestBytes: 1MiB }',
    {},
    /found "1MiB", expected a size from 4MiB to 8MiB/,
  ],
  ['nothing', 'http:\n  port:', {}, /^berth.yaml:2: http.port: found nothing, expected/],
  ['a list', 'http: { port: [1] }', {}, /found a list, expected/],
  ['a section where a value belongs', 'http: { port: { a: 1 } }', {}, /found a section, expected/],
  [
    'a value where a section belongs',
    'http: 5000',
    {},
    /^berth.yaml:1: http must be a section of options: address, port,/,
  ],
  [
    'a list as the file',
    '- http',
    {},
    /the file must be a section of options: http, workers, limits, pulse, log, storage, registry, sweep, retention, scrub$/,
  ],
  [
    'a word that is not offered',
    'log: { level: verbose }',
    {},
    /found "verbose", expected one of debug, info, warn, error$/,
  ],
  ['a host name to listen on', 'http: { address: localhost }', {}, /found "localhost", expected an IP address/],
  ['a switch in other words', 'pulse: { enabled: yes }', {}, /found "yes", expected true or false$/],
  ['broken YAML', 'http:\n  port: "5', {}, /^berth.yaml:2: /],
  ['a tag that YAML does not know', 'http:\n  port: !secret x', {}, /^berth.yaml:2: Unresolved tag/],
  ['two documents', 'log:\n---\nlog:', {}, /^berth.yaml:2: one document per file/],
  ['control characters', 'log: { level: "a\\nb\\e[2J" }', {}, /found "a\\nb\\u001b\[2J"/],
  [
    'an unknown variable',
    '',
    { BERTH_HTTP_PROT: '1' },
    /^BERTH_HTTP_PROT: unknown variable; did you mean BERTH_HTTP_PORT\?$/,
  ],
  ['an empty variable', '', { BERTH_HTTP_PORT: '' }, /^BERTH_HTTP_PORT: found nothing, expected/],
  [
    'a variable and its file',
    '',
    { BERTH_LOG_LEVEL: 'info', BERTH_LOG_LEVEL_FILE: 'x' },
    /^BERTH_LOG_LEVEL_FILE: BERTH_LOG_LEVEL is set as well/,
  ],
  [
    'a secret file that is not there',
    '',
    { BERTH_LOG_LEVEL_FILE: '/no' },
    /^BERTH_LOG_LEVEL_FILE: cannot read "\/no": there is no such file$/,
  ],
  ['the address of a service', '', { BERTH_HTTP_PORT: 'tcp://10.0.0.1:80' }, /^BERTH_HTTP_PORT: .*enableServiceLinks/],
  [
    'a path without slashes around it',
    'http: { accelPrefix: internal }',
    {},
    /accelPrefix: found "internal", expected nothing, or a path/,
  ],
  [
    'a path that clients use',
    '',
    { BERTH_HTTP_ACCEL_PREFIX: '/v2/x/' },
    /^BERTH_HTTP_ACCEL_PREFIX: found "\/v2\/x\/", expected/,
  ],
  [
    'files to send from a store that has none',
    'http:\n  accelPrefix: /internal/\nstorage: { kind: memory }',
    {},
    /^berth.yaml:2: http.accelPrefix: found \/internal\/, .* only a store of the kind filesystem has files that nginx can send$/,
  ],
  [
    'a page larger than the largest',
    'http:\n  pageSize: 20000',
    {},
    /^berth.yaml:2: http.pageSize: found 20000, expected at most http.maxPageSize, which is 10000$/,
  ],
  [
    'one port for two listeners',
    '',
    { BERTH_PULSE_PORT: '5000' },
    /^BERTH_PULSE_PORT: pulse.port: found 5000, which is the port of the registry/,
  ],
]

describe('what is wrong is refused with its place, what was found and what is expected', () => {
  for (const [what, text, environment, ...expected] of bad) {
    test(what, () => {
      const problems = problemsOf(text, environment)
      assert.equal(problems.length, expected.length, problems.join('\n'))
      for (const [index, pattern] of expected.entries()) assert.match(problems[index] ?? '', pattern)
    })
  }

  test('everything at once, in the order of the lines, also what a variable overrides', () => {
    const problems = problemsOf('http:\n  port: x\n  prot: 1\nlog:\n  level: x\n', {
      BERTH_HTTP_PORT: '1',
      BERTH_NOPE: '1',
    })
    assert.deepEqual(
      problems.map((line) => line.replace(/: .*/, '')),
      ['BERTH_NOPE', 'berth.yaml:2', 'berth.yaml:3', 'berth.yaml:5'],
    )
  })

  test('a file that cannot be read', () => {
    assert.throws(() => loadConfig({ environment: {}, file: '/no/such.yaml' }), /cannot be read: there is no such file/)
    assert.throws(() => loadConfig({ environment: {}, file: '/' }), /cannot be read: it is a folder/)
    assert.throws(
      () => loadConfig({ environment: { BERTH_CONFIG: '' } }),
      /BERTH_CONFIG: the configuration file cannot/,
    )
  })
})
