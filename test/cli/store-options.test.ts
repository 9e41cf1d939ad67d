import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { CommandError } from '../../src/cli/command.ts'
import { describePlace, readStoreOptions } from '../../src/cli/store-options.ts'
import { loadConfig } from '../../src/config/load.ts'
import { run } from './surroundings.ts'

const read = (section: string, isBackground = false) =>
  readStoreOptions(
    loadConfig({ environment: {}, file: 'x', readText: () => `storage: ${section}` }).config.storage,
    isBackground,
  )

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'

async function createFile(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-ca-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'ca.pem'), text)
  return join(folder, 'ca.pem')
}

describe('what a driver is told', () => {
  test('memory and a folder', async () => {
    assert.deepEqual(await read('{ kind: memory }'), { kind: 'memory', maxBytes: 1_073_741_824 })
    assert.deepEqual(await read('{ filesystem: { root: x } }', true), {
      kind: 'filesystem',
      root: resolve('x'),
      mount: 'local',
      ballastBytes: 16_777_216,
      bufferBytes: 33_554_432,
      isBackground: true,
    })
  })

  const defaults = {
    kind: 's3',
    endpoint: undefined,
    region: 'us-east-1',
    bucket: 'berth',
    prefix: '',
    pathStyle: 'auto',
    credentials: undefined,
    encryption: 'default',
    kmsKeyId: undefined,
    storageClass: undefined,
    certificates: undefined,
    partBytes: 8_388_608,
    uploadConcurrency: 4,
    bufferBytes: 134_217_728,
    readBufferBytes: 33_554_432,
    maxConnections: 256,
    connectTimeoutMs: 3000,
    socketTimeoutMs: 30_000,
    maxAttempts: 4,
    conditionalDelete: 'auto',
    multipartAgeMs: 86_400_000,
    redirect: undefined,
  }

  test('a bucket: what is left out is absent', async () => {
    assert.deepEqual(await read('{ kind: s3, s3: { bucket: berth } }'), defaults)
  })

  test('a bucket with everything', async (t) => {
    const caFile = await createFile(t, pem)
    const options = await read(`{ kind: s3, s3: {
      endpoint: "https://s3.example/", region: auto, bucket: berth, prefix: a/b, pathStyle: off,
      accessKeyId: me, secretAccessKey: hunter2, encryption: "aws:kms", kmsKeyId: alias/a, storageClass: STANDARD_IA,
      caFile: ${JSON.stringify(caFile)}, partBytes: 5MiB, uploadConcurrency: 1, bufferBytes: 32MiB, readBufferBytes: 16MiB, maxConnections: 2,
      connectTimeout: 1s, socketTimeout: 2s, maxAttempts: 3, conditionalDelete: none, multipartAge: 1h,
      redirect: true, redirectEndpoint: "https://blobs.example", redirectNetworks: [10.0.0.0/8], redirectUrlAge: 1m } }`)
    assert.deepEqual(options, {
      kind: 's3',
      endpoint: 'https://s3.example',
      region: 'auto',
      bucket: 'berth',
      prefix: 'a/b/',
      pathStyle: 'off',
      credentials: { accessKeyId: 'me', secretAccessKey: 'hunter2' },
      encryption: 'aws:kms',
      kmsKeyId: 'alias/a',
      storageClass: 'STANDARD_IA',
      certificates: pem,
      partBytes: 5_242_880,
      uploadConcurrency: 1,
      bufferBytes: 33_554_432,
      readBufferBytes: 16_777_216,
      maxConnections: 2,
      connectTimeoutMs: 1000,
      socketTimeoutMs: 2000,
      maxAttempts: 3,
      conditionalDelete: 'none',
      multipartAgeMs: 3_600_000,
      redirect: { endpoint: 'https://blobs.example', urlAgeMs: 60_000 },
    })
  })

  test('a redirect goes where Berth itself goes, unless it says otherwise', async () => {
    const options = await read('{ kind: s3, s3: { bucket: berth, redirect: true } }')
    assert.deepEqual(options, { ...defaults, redirect: { endpoint: undefined, urlAgeMs: 1_200_000 } })
  })
})

describe('a file with certificates', () => {
  test('that is not there, or holds none, is one sentence', async (t) => {
    const wrong = await createFile(t, 'nothing of that kind')
    for (const [caFile, message] of [
      ['/no/ca.pem', 'cannot read storage.s3.caFile "/no/ca.pem": there is no such file'],
      ['/', 'cannot read storage.s3.caFile "/": it is a folder'],
      [wrong, `storage.s3.caFile ${JSON.stringify(wrong)} holds no certificate in PEM`],
    ] as const) {
      const reading = read(`{ kind: s3, s3: { bucket: berth, caFile: ${JSON.stringify(caFile)} } }`)
      await assert.rejects(reading, (error) => error instanceof CommandError && error.message === message)
    }
  })

  test('ends every command that opens the store', async () => {
    const environment = {
      BERTH_HTTP_PORT: '0',
      BERTH_PULSE_PORT: '0',
      BERTH_STORAGE_KIND: 's3',
      BERTH_STORAGE_S3_BUCKET: 'berth',
      BERTH_STORAGE_S3_CA_FILE: '/no/ca.pem',
    }
    for (const command of ['serve', 'gc', 'scrub']) {
      const { code, err } = await run([command], { environment })
      assert.deepEqual([code, err], [3, 'berth: cannot read storage.s3.caFile "/no/ca.pem": there is no such file\n'])
    }
  })
})

test('where data goes is told without any secret', async () => {
  for (const [section, place] of [
    ['{ kind: memory }', 'memory, gone when Berth stops'],
    ['{ filesystem: { root: /srv/berth } }', '/srv/berth'],
    ['{ kind: s3, s3: { bucket: berth, region: eu-central-1 } }', 's3://berth/ at AWS in eu-central-1'],
    [
      '{ kind: s3, s3: { bucket: berth, prefix: a, endpoint: "http://minio:9000", accessKeyId: me, secretAccessKey: hunter2 } }',
      's3://berth/a/ at http://minio:9000',
    ],
  ] as const) {
    assert.equal(describePlace(await read(section)), place)
  }
})
