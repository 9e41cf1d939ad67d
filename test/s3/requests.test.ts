/** What docs/storage.md says of the requests to the store and of the rights that they need is true: one more is noticed here before it is on a bill. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { keySpace } from '../../src/registry/layout.ts'
import type { Driver } from '../../src/storage/driver.ts'
import type { S3Options } from '../../src/storage/s3/options.ts'
import { describeCall, type S3Call } from './calls.ts'
import { createBucketFor, openS3 } from './open.ts'
import { operations, partBytes } from './operations.ts'
import { type Proxy, startProxy } from './proxy.ts'
import { createClient, reasonToSkip, type S3Server, startVersitygw } from './servers.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/storage.md'), 'utf8')

/** The cells of the table whose first column has this title. */
function readTable(title: string): readonly (readonly string[])[] {
  const lines = page.split('\n')
  const first = lines.findIndex((line) => line.startsWith(`| ${title} |`))
  const length = lines.slice(first).findIndex((line) => !line.startsWith('|'))
  return lines.slice(first, first + length).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** In which column a call is counted, and which right it needs; by the "Actions" of Amazon S3. */
const calls: Readonly<Partial<Record<S3Call, { readonly column: string; readonly rights: readonly string[] }>>> = {
  PutObject: { column: 'PUT', rights: ['s3:PutObject'] },
  UploadPart: { column: 'PUT', rights: ['s3:PutObject'] },
  CopyObject: { column: 'COPY', rights: ['s3:GetObject', 's3:PutObject'] },
  CreateMultipartUpload: { column: 'POST', rights: ['s3:PutObject'] },
  CompleteMultipartUpload: { column: 'POST', rights: ['s3:PutObject'] },
  ListObjectsV2: { column: 'LIST', rights: ['s3:ListBucket'] },
  GetBucketVersioning: { column: 'GET, HEAD', rights: ['s3:GetBucketVersioning'] },
  ListMultipartUploads: { column: 'LIST', rights: ['s3:ListBucketMultipartUploads'] },
  ListParts: { column: 'LIST', rights: ['s3:ListMultipartUploadParts'] },
  GetObject: { column: 'GET, HEAD', rights: ['s3:GetObject'] },
  HeadObject: { column: 'GET, HEAD', rights: ['s3:GetObject'] },
  DeleteObject: { column: 'DELETE', rights: ['s3:DeleteObject'] },
  AbortMultipartUpload: { column: 'DELETE', rights: ['s3:AbortMultipartUpload'] },
}

function lookUp(call: S3Call) {
  return calls[call] ?? assert.fail(`docs/storage.md has no ${call}`)
}

/** `2n + 3` for one n. */
function evaluate(formula: string, n: number): number {
  const terms = formula.split(' + ').map((term) => /^(\d*)(n?)$/.exec(term) ?? assert.fail(`no number: ${formula}`))
  return terms.reduce((sum, [, factor, times]) => sum + Number(factor || 1) * (times === 'n' ? n : 1), 0)
}

const [titles = [], ...rows] = readTable('operation')

/** What the table says of an operation, by its columns. */
function expect(operation: string, n: number): Record<string, number> {
  const [, ...cells] = rows.find(([name]) => name === operation) ?? assert.fail(`docs/storage.md has no ${operation}`)
  return Object.fromEntries(cells.map((formula, i) => [titles[i + 1] ?? '', evaluate(formula, n)]))
}

/** Calls of the driver, by what docs/storage.md calls them; each finds its own keys. */
const driverCalls: Readonly<Record<string, (driver: Driver) => Promise<unknown>>> = {
  '`read`': (driver) => driver.read('data/there/a'),
  '`stat`': (driver) => driver.stat('data/there/a'),
  '`open`': (driver) => driver.open('data/there/a', { start: 0, end: 1 }).then((opened) => opened?.close()),
  '`write`': (driver) => driver.write('data/new/a', Buffer.from('a')),
  '`write` with `ifAbsent`, over another': (driver) =>
    driver.write('data/there/a', Buffer.from('b'), { ifAbsent: true }),
  '`writeStream` of one part at most': (driver) => stream(driver, 'data/new/b', 1),
  '`writeStream` of more': (driver) => stream(driver, 'data/new/c', partBytes + 1),
  '`promote`': (driver) => driver.promote('data/there/b', 'tags/a/b'),
  '`promote` of what is not there': (driver) => driver.promote('data/no/a', 'tags/a/c'),
  '`remove`': (driver) => driver.remove('data/there/c'),
  '`remove` of what is not there': (driver) => driver.remove('data/no/a'),
  '`list`, for each 1,000 keys': (driver) => driver.list('data/', { limit: 1000 }),
  '`signUrl`': (driver) => driver.signUrl?.('data/there/a') ?? assert.fail(),
  '`tidy`, with one upload that is left': (driver) => driver.tidy(),
}

async function stream(driver: Driver, key: string, bytes: number): Promise<void> {
  const writer = await driver.writeStream(key)
  await writer.write(Buffer.alloc(bytes))
  await writer.seal()
}

/** Formulas are lines: two of their points are enough. The smallest image has a config and a layer. */
const sizes = [2, 4]

describe('docs/storage.md', { skip: reasonToSkip('versitygw') }, () => {
  let server: S3Server
  let proxy: Proxy
  let bucket: string
  let driver: Driver
  const made = new Set<S3Call>()
  const counted = (): S3Call[] => proxy.requests.map(describeCall)
  let place = 0

  async function open(options: Partial<S3Options> = {}): Promise<Driver> {
    const redirect = { urlAgeMs: 60_000 }
    return openS3({ ...server, endpoint: proxy.endpoint }, bucket, {
      keySpace,
      redirect,
      prefix: `${place}/`,
      // No time passes in which the bucket may have gone.
      elapsed: () => 0,
      ...options,
    })
  }

  function configure(): Config {
    const text = `storage:\n  kind: s3\n  s3: { endpoint: '${proxy.endpoint}', bucket: ${bucket}, prefix: at/${place}, accessKeyId: ${server.accessKeyId}, secretAccessKey: ${server.secretAccessKey} }\n`
    return loadConfig({ environment: {}, file: 'berth.yaml', readText: () => text }).config
  }

  before(async () => {
    server = await startVersitygw()
    bucket = await createBucketFor(server)
    proxy = await startProxy(server.endpoint)
  })
  after(async () => {
    await proxy.close()
    await server.remove()
  })
  beforeEach(() => void place++)

  for (const [name, operation] of Object.entries(operations)) {
    it(name, async () => {
      for (const n of sizes) {
        place++
        driver = await open()
        const run = await operation(driver, n, configure())
        proxy.requests.clear()
        await run()
        const counts: Record<string, number> = Object.fromEntries(titles.slice(1).map((title) => [title, 0]))
        for (const call of counted()) {
          const { column } = lookUp(call)
          counts[column] = (counts[column] ?? 0) + 1
          made.add(call)
        }
        assert.deepEqual(counts, expect(name, n), `n = ${n}`)
        await driver.close()
      }
    })
  }

  for (const [name, call] of Object.entries(driverCalls)) {
    it(name, async () => {
      // Every upload is old, also by a clock of whole seconds.
      driver = await open({ multipartAgeMs: -5000 })
      for (const key of ['a', 'b', 'c']) await driver.write(`data/there/${key}`, Buffer.from('a'))
      const client = createClient(server)
      await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: `${place}/data/left/a` }))
      client.destroy()
      await driver.read('data/there/a')
      proxy.requests.clear()
      await call(driver)
      const [, requests = ''] = readTable('driver').find(([first]) => first === name) ?? assert.fail(name)
      assert.deepEqual(
        counted(),
        [...requests.matchAll(/\w+/g)].map(([word]) => word).filter((word) => word !== 'none'),
      )
      for (const each of counted()) made.add(each)
      await driver.close()
    })
  }

  it('has no other rows', () => {
    assert.deepEqual(
      rows.slice(1).map(([name]) => name),
      Object.keys(operations),
    )
    assert.deepEqual(
      readTable('driver')
        .slice(2)
        .map(([name]) => name),
      Object.keys(driverCalls),
    )
  })

  it('grants the rights to every call that was made here, and no others', () => {
    assert.deepEqual([...made].toSorted(), Object.keys(calls).toSorted())
    const [, text = ''] = /^```json\n(.*?)^```$/ms.exec(page) ?? []
    const actions = [...text.matchAll(/"(s3:\w+)"/g)].map(([, action = '']) => action)
    assert.ok(JSON.parse(text))
    const needed = new Set([...made].flatMap((call) => lookUp(call).rights))
    assert.deepEqual(actions.toSorted(), [...needed].toSorted())
  })

  it('adds up what images of four blobs cost', () => {
    const sum = (parts: readonly (readonly [string, number])[]): { dear: number; cheap: number } => {
      const all = parts.map(([name, times]) => ({ times, of: expect(name, 4) }))
      const total = (columns: readonly string[]): number =>
        all.reduce((so, { times, of }) => so + times * columns.reduce((x, column) => x + (of[column] ?? 0), 0), 0)
      return { dear: total(['PUT', 'COPY', 'POST', 'LIST']), cheap: total(['GET, HEAD']) }
    }
    const push = sum([
      ['new blob: HEAD, POST, PATCH, PUT, HEAD', 4],
      ['manifest of n blobs with a new tag', 1],
      ['two sweeps, after the push of n blobs', 1],
      ['sweep that finds nothing', -2],
    ])
    const pull = sum([['pull by tag, n blobs: HEAD, GET, n × GET', 1]])
    const sentence = `1,000 pushes are ${push.dear},000 requests of the first class and ${push.cheap},000 of the second, 1,000 pulls are ${pull.cheap},000 of the second`
    assert.ok(page.replaceAll('\n', ' ').includes(sentence), sentence)
  })
})
