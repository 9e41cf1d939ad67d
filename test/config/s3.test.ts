import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import * as v from 'valibot'
import { ConfigError, loadConfig } from '../../src/config/load.ts'
import { renderEffective } from '../../src/config/page.ts'
import { s3 } from '../../src/config/s3-section.ts'

type Environment = Readonly<Record<string, string>>

/** Loads with these variables of the section: `{ BUCKET: 'a' }` is `BERTH_STORAGE_S3_BUCKET=a`. */
function load(variables: Environment, text = '', files: Environment = {}) {
  const environment = Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [`BERTH_STORAGE_S3_${name}`, value]),
  )
  const readText = (path: string): string => ({ 'berth.yaml': text, ...files })[path] ?? assert.fail(path)
  return loadConfig({ environment, file: 'berth.yaml', readText })
}

const s3Of = (variables: Environment) => load(variables).config.storage.s3

function problemsOf(variables: Environment, text = ''): string[] {
  try {
    load(variables, text)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim().replaceAll('BERTH_STORAGE_S3_', ''))
  }
  return []
}

const aUrl =
  'nothing, or http:// or https:// with a host, and a port where it has another; no path, no user, like https://s3.example:9000'
const aBucket =
  'nothing, or the name of a bucket: 3 to 63 of a-z, 0-9, dot and hyphen, with a letter or digit at both ends'
const aPrefix =
  'nothing, or words with slashes between them, like team/berth: of A-Z, a-z, 0-9 and . _ - ! + ~ ^ @, none begins with a dot; 200 characters at most'
const aRegion = 'the name of a region: letters, digits and hyphens, like eu-central-1'
const anAccessKey = 'nothing, or an access key without blanks, in quotes when it is all digits'
const aSecret = 'nothing, or a secret without a blank at its ends, in quotes when it is all digits'

test('without a word of it the section is AWS with the credentials of the machine, and nobody is sent to the store', () => {
  assert.deepEqual(s3Of({}), {
    endpoint: '',
    region: 'us-east-1',
    bucket: '',
    prefix: '',
    pathStyle: 'auto',
    caFile: '',
    accessKeyId: '',
    secretAccessKey: '',
    encryption: 'default',
    kmsKeyId: '',
    storageClass: '',
    conditionalDelete: 'auto',
    multipartAgeMs: 86_400_000,
    partBytes: 8_388_608,
    uploadConcurrency: 4,
    bufferBytes: 134_217_728,
    readBufferBytes: 33_554_432,
    maxConnections: 256,
    connectTimeoutMs: 3000,
    socketTimeoutMs: 30_000,
    maxAttempts: 4,
    redirect: false,
    redirectEndpoint: '',
    redirectNetworks: [],
    redirectUrlAgeMs: 1_200_000,
  })
})

const long = 'a'.repeat(199)

describe('what is good is taken as the code wants it', () => {
  for (const [variable, key, written, value] of [
    ['ENDPOINT', 'endpoint', 'http://127.0.0.1:9000', 'http://127.0.0.1:9000'],
    ['ENDPOINT', 'endpoint', 'HTTPS://S3.Example:443/', 'https://s3.example'],
    ['ENDPOINT', 'endpoint', 'http://[::1]:9000/', 'http://[::1]:9000'],
    ['ENDPOINT', 'endpoint', 'http://minio', 'http://minio'],
    ['REDIRECT_ENDPOINT', 'redirectEndpoint', '', ''],
    ['REGION', 'region', 'auto', 'auto'],
    ['REGION', 'region', 'RegionOne', 'RegionOne'],
    ['BUCKET', 'bucket', 'a1.b-2', 'a1.b-2'],
    ['BUCKET', 'bucket', '123', '123'],
    ['BUCKET', 'bucket', 'a'.repeat(63), 'a'.repeat(63)],
    ['PREFIX', 'prefix', 'team', 'team/'],
    ['PREFIX', 'prefix', 'team/', 'team/'],
    ['PREFIX', 'prefix', 'A/b.c_d-e!+~^@/0', 'A/b.c_d-e!+~^@/0/'],
    ['PREFIX', 'prefix', long, `${long}/`],
    ['KMS_KEY_ID', 'kmsKeyId', '', ''],
    ['STORAGE_CLASS', 'storageClass', 'STANDARD_IA', 'STANDARD_IA'],
    ['STORAGE_CLASS', 'storageClass', 'GLACIER_IR', 'GLACIER_IR'],
    ['CA_FILE', 'caFile', './my authority.pem', './my authority.pem'],
    ['PART_BYTES', 'partBytes', '5MiB', 5_242_880],
    ['MULTIPART_AGE', 'multipartAgeMs', '30d', 2_592_000_000],
    ['REDIRECT_URL_AGE', 'redirectUrlAgeMs', '7d', 604_800_000],
    ['REDIRECT', 'redirect', 'true', true],
  ] as const) {
    test(`${variable} ${written}`, () => assert.equal(s3Of({ [variable]: written })[key], value))
  }

  test('networks of clients', () => {
    assert.deepEqual(s3Of({ REDIRECT_NETWORKS: '10.0.0.0/8' }).redirectNetworks, [
      { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
    ])
  })

  test('a key of the file with nothing behind it is empty', () => {
    assert.equal(load({}, 'storage:\n  s3:\n    prefix:\n    endpoint: ~\n').config.storage.s3.prefix, '')
  })
})

describe('what is not good is refused, with what was found and what is expected', () => {
  for (const [variable, written, found, expected] of [
    ['ENDPOINT', 's3.example', '"s3.example"', aUrl],
    ['ENDPOINT', 's3.example:9000', '"s3.example:9000"', aUrl],
    ['ENDPOINT', 'ftp://s3.example', '"ftp://s3.example"', aUrl],
    ['ENDPOINT', 'https://s3.example/bucket', '"https://s3.example/bucket"', aUrl],
    ['ENDPOINT', 'https://s3.example//', '"https://s3.example//"', aUrl],
    ['ENDPOINT', 'https://s3.example?x', '"https://s3.example?x"', aUrl],
    ['ENDPOINT', 'https://s3.example#x', '"https://s3.example#x"', aUrl],
    ['ENDPOINT', 'https:\\\\s3.example', '"https:\\\\\\\\s3.example"', aUrl],
    ['ENDPOINT', 'https://s3.example:99999', '"https://s3.example:99999"', aUrl],
    ['ENDPOINT', ' https://s3.example', '" https://s3.example"', aUrl],
    ['ENDPOINT', 'https://', '"https://"', aUrl],
    ['ENDPOINT', 'https://me:hunter2@s3.example', '"https://…@s3.example"', aUrl],
    ['REDIRECT_ENDPOINT', 'me:hunter2@s3.example', '"…@s3.example"', aUrl],
    ['REGION', '', 'nothing', aRegion],
    ['REGION', 'eu_central', '"eu_central"', aRegion],
    ['REGION', '-eu', '"-eu"', aRegion],
    ['REGION', 'eu.evil', '"eu.evil"', aRegion],
    ['BUCKET', 'ab', '"ab"', aBucket],
    ['BUCKET', 'Berth', '"Berth"', aBucket],
    ['BUCKET', 'a_b', '"a_b"', aBucket],
    ['BUCKET', '-ab', '"-ab"', aBucket],
    ['BUCKET', 'ab.', '"ab."', aBucket],
    ['BUCKET', 'a..b', '"a..b"', aBucket],
    ['BUCKET', 'a'.repeat(64), `"${'a'.repeat(60)}…"`, aBucket],
    ['BUCKET', 'my/bucket', '"my/bucket"', aBucket],
    ['PREFIX', '/', '"/"', aPrefix],
    ['PREFIX', '/a', '"/a"', aPrefix],
    ['PREFIX', 'a//b', '"a//b"', aPrefix],
    ['PREFIX', 'a//', '"a//"', aPrefix],
    ['PREFIX', 'a/../b', '"a/../b"', aPrefix],
    ['PREFIX', '.a', '".a"', aPrefix],
    ['PREFIX', 'a b', '"a b"', aPrefix],
    ['PREFIX', 'ä', '"ä"', aPrefix],
    ['PREFIX', `${long}a`, `"${'a'.repeat(60)}…"`, aPrefix],
    ['PATH_STYLE', 'true', '"true"', 'one of auto, on, off'],
    ['ACCESS_KEY_ID', 'a b', '"a b"', anAccessKey],
    ['SECRET_ACCESS_KEY', 'hunter2 ', 'a value that is not shown', aSecret],
    ['SECRET_ACCESS_KEY', 'hunter2\nx', 'a value that is not shown', aSecret],
    ['ENCRYPTION', 'aes256', '"aes256"', 'one of default, AES256, aws:kms'],
    ['KMS_KEY_ID', 'a b', '"a b"', 'nothing, or the id of a key without blanks'],
    ['STORAGE_CLASS', 'standard', '"standard"', 'nothing, or a storage class of the store, like STANDARD_IA'],
    ['CA_FILE', 'a\0b', '"a\\u0000b"', 'nothing, or the path of a file with certificates (PEM)'],
    ['PART_BYTES', '4MiB', '"4MiB"', size('5MiB', '512MiB', '8MiB')],
    ['PART_BYTES', '513MiB', '"513MiB"', size('5MiB', '512MiB', '8MiB')],
    ['BUFFER_BYTES', '31MiB', '"31MiB"', size('32MiB', '16GiB', '128MiB')],
    ['UPLOAD_CONCURRENCY', '33', '"33"', 'a whole number from 1 to 32'],
    ['MAX_CONNECTIONS', '0', '"0"', 'a whole number from 1 to 10000'],
    ['MAX_ATTEMPTS', '11', '"11"', 'a whole number from 1 to 10'],
    ['CONNECT_TIMEOUT', '3', '"3"', duration('100ms', '1m', '3s')],
    ['SOCKET_TIMEOUT', '11m', '"11m"', duration('1s', '10m', '30s')],
    ['CONDITIONAL_DELETE', 'yes', '"yes"', 'one of auto, exact, none'],
    ['MULTIPART_AGE', '59m', '"59m"', duration('1h', '30d', '24h')],
    ['REDIRECT', 'on', '"on"', 'true or false'],
    ['REDIRECT_URL_AGE', '8d', '"8d"', duration('1m', '7d', '20m')],
  ] as const) {
    test(`${variable} ${JSON.stringify(written)}`, () => {
      assert.deepEqual(problemsOf({ [variable]: written }), [`${variable}: found ${found}, expected ${expected}`])
    })
  }

  test('digits without quotes, also of a secret', () => {
    assert.deepEqual(problemsOf({}, 'storage:\n  s3:\n    accessKeyId: 1234\n    secretAccessKey: 5678\n'), [
      `berth.yaml:3: storage.s3.accessKeyId: found 1234, expected ${anAccessKey}`,
      `berth.yaml:4: storage.s3.secretAccessKey: found a value that is not shown, expected ${aSecret}`,
    ])
  })
})

function size(min: string, max: string, like: string): string {
  return `a size from ${min} to ${max}: a whole number and its unit (B, KiB, MiB, GiB, TiB), like ${like}`
}

function duration(min: string, max: string, like: string): string {
  return `a duration from ${min} to ${max}: a whole number and its unit (ms, s, m, h, d), like ${like}`
}

describe('what must hold between options', () => {
  for (const [what, section, ...expected] of [
    [
      's3 without a bucket',
      '{ kind: s3 }',
      'storage.s3.bucket: found nothing, expected the name of a bucket: storage.kind is s3',
    ],
    ['s3 with a bucket', '{ kind: s3, s3: { bucket: berth } }'],
    ['a bucket beside a folder', '{ kind: filesystem, s3: { bucket: berth } }'],
    [
      'a directory bucket',
      '{ s3: { bucket: berth--usw2-az1--x-s3 } }',
      'storage.s3.bucket: found berth--usw2-az1--x-s3, expected a general purpose bucket: a directory bucket lists its keys in no order',
    ],
    ['both keys', '{ s3: { accessKeyId: me, secretAccessKey: hunter2 } }'],
    [
      'an access key alone',
      '{ s3: { accessKeyId: me } }',
      'storage.s3.secretAccessKey: found nothing, expected a text: storage.s3.accessKeyId is given, and neither is of use alone',
    ],
    [
      'a secret alone',
      '{ s3: { secretAccessKey: hunter2 } }',
      'storage.s3.accessKeyId: found nothing, expected a text: storage.s3.secretAccessKey is given, and neither is of use alone',
    ],
    ['a key of KMS', '{ s3: { encryption: "aws:kms", kmsKeyId: alias/berth } }'],
    ['KMS without a key', '{ s3: { encryption: "aws:kms" } }'],
    [
      'a key without KMS',
      '{ s3: { encryption: AES256, kmsKeyId: alias/berth } }',
      'storage.s3.kmsKeyId: found alias/berth, expected nothing: storage.s3.encryption is AES256, only aws:kms has a key',
    ],
    [
      'a class that cannot be read',
      '{ s3: { storageClass: DEEP_ARCHIVE } }',
      'storage.s3.storageClass: found DEEP_ARCHIVE, expected a class whose objects can be read at once, like GLACIER_IR',
    ],
    ['four parts in memory', '{ s3: { partBytes: 16MiB, bufferBytes: 64MiB } }'],
    [
      'less than four parts in memory',
      '{ s3: { partBytes: 65MiB } }',
      'storage.s3.bufferBytes: found 128MiB, expected at least four times storage.s3.partBytes, which is 65MiB',
    ],
    ['a redirect elsewhere', '{ s3: { redirect: true, redirectEndpoint: "https://blobs.example" } }'],
    [
      'where to redirect without a redirect',
      '{ s3: { redirectEndpoint: "https://blobs.example" } }',
      'storage.s3.redirectEndpoint: found https://blobs.example, expected nothing: storage.s3.redirect is false, so nobody is sent there',
    ],
    ['workers on a bucket', '{ kind: s3, s3: { bucket: berth } }\nworkers: { count: 4 }'],
    [
      'a server in front that sends files',
      '{ kind: s3, s3: { bucket: berth } }\nhttp: { accelPrefix: /internal/ }',
      'http.accelPrefix: found /internal/, expected nothing: only a store of the kind filesystem has files that nginx can send',
    ],
  ] as const) {
    test(what, () => {
      const problems = problemsOf({}, `storage: ${section}\n`)
      assert.deepEqual(
        problems.map((line) => line.replace(/^berth.yaml:\d: /, '')),
        expected,
      )
    })
  }
})

describe('the secret', () => {
  const file = { '/run/s3': 'hunter2\n' }

  test('comes from a variable, or a file that a variable names', () => {
    for (const given of [{ SECRET_ACCESS_KEY: 'hunter2' }, { SECRET_ACCESS_KEY_FILE: '/run/s3' }]) {
      const { config } = load({ ACCESS_KEY_ID: 'me', ...given }, '', file)
      assert.equal(config.storage.s3.secretAccessKey, 'hunter2')
    }
  })

  test('is not printed, wherever it comes from; that there is none is', () => {
    const printed = (variables: Environment, text = '') => renderEffective(load(variables, text, file).settingOf)
    for (const text of [
      printed({ ACCESS_KEY_ID: 'me', SECRET_ACCESS_KEY: 'hunter2' }),
      printed({ ACCESS_KEY_ID: 'me', SECRET_ACCESS_KEY_FILE: '/run/s3' }),
      printed({}, 'storage: { s3: { accessKeyId: me, secretAccessKey: hunter2 } }'),
    ]) {
      assert.match(text, /^ {4}accessKeyId: me #/m)
      assert.match(text, /^ {4}secretAccessKey: "not shown" # \S+/m)
      assert.ok(!text.includes('hunter2'))
    }
    const none = printed({ SECRET_ACCESS_KEY: '' })
    assert.match(none, /^ {4}secretAccessKey: "" # BERTH_STORAGE_S3_SECRET_ACCESS_KEY$/m)
    assert.match(printed({}), /^ {4}secretAccessKey: "" # default$/m)
  })

  test('a file with certificates is an option of its own, though its variable ends in _FILE', () => {
    assert.equal(load({ CA_FILE: '/run/s3' }).config.storage.s3.caFile, '/run/s3')
    assert.equal(load({ CA_FILE_FILE: '/run/s3' }, '', { '/run/s3': 'ca.pem\n' }).config.storage.s3.caFile, 'ca.pem')
  })
})

test('whatever is taken as an endpoint is an origin, and whatever is taken as a prefix begins good keys', () => {
  const { endpoint, prefix } = s3.entries
  const parts = [
    'http://',
    'HTTPS://',
    '//',
    '/',
    'a',
    'A.b',
    '..',
    '.',
    ':',
    '90',
    '@',
    '?',
    '#',
    '\\',
    ' ',
    '%41',
    'ä',
  ]
  const texts = fc.array(fc.constantFrom(...parts), { minLength: 1, maxLength: 6 }).map((each) => each.join(''))
  fc.assert(
    fc.property(texts, (written) => {
      if (v.is(endpoint, written)) {
        const value = v.parse(endpoint, written)
        assert.equal(new URL(value).origin, value)
        assert.equal(v.parse(endpoint, value), value)
      }
      if (v.is(prefix, written)) {
        const value = v.parse(prefix, written)
        assert.match(value, /^([A-Za-z0-9_\-!+~^@][A-Za-z0-9._\-!+~^@]*\/)+$/)
        assert.equal(v.parse(prefix, value), value)
      }
    }),
    { numRuns: 2000 },
  )
})

test('the sample is good with every line of it that is commented out', () => {
  const path = new URL('../../config/s3.yaml', import.meta.url)
  const text = readFileSync(path, 'utf8').replaceAll(/^ {4}# (\w+: )/gm, '    $1')
  const { config } = load({ SECRET_ACCESS_KEY: 'hunter2' }, text)
  const { bucket, prefix, caFile, redirect } = config.storage.s3
  assert.deepEqual(
    { bucket, prefix, caFile, redirect },
    {
      bucket: 'berth',
      prefix: 'team/registry/',
      caFile: '/etc/berth/authority.pem',
      redirect: true,
    },
  )
})
