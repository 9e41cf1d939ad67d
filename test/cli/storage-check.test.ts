/** `berth storage check`, on a folder and on real S3 servers, well and broken ones. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { ListObjectsV2Command, PutBucketVersioningCommand } from '@aws-sdk/client-s3'
import { after, before, describe, it, type TestContext } from 'node:test'
import { openCheckedStore, openStore } from '../../src/cli/open-store.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { describeCall } from '../s3/calls.ts'
import { createBucketFor, listMultiparts } from '../s3/open.ts'
import { type Script, startProxy } from '../s3/proxy.ts'
import { createClient, reasonToSkip, type S3Server, startMoto, startVersitygw } from '../s3/servers.ts'
import { createFolder, rawTree } from '../storage/folder.ts'
import { run, startRun } from './surroundings.ts'

const args = ['storage', 'check'] as const

function environmentOf({ accessKeyId, secretAccessKey, endpoint }: S3Server, bucket: string, at = endpoint) {
  return {
    BERTH_STORAGE_KIND: 's3',
    BERTH_STORAGE_S3_ENDPOINT: at,
    BERTH_STORAGE_S3_BUCKET: bucket,
    BERTH_STORAGE_S3_PREFIX: 'team/berth',
    BERTH_STORAGE_S3_ACCESS_KEY_ID: accessKeyId,
    BERTH_STORAGE_S3_SECRET_ACCESS_KEY: secretAccessKey,
    BERTH_STORAGE_S3_PART_BYTES: '5MiB',
  }
}

/** The table: each row's outcome and what is said, by its name. */
function readTable(out: string): ReadonlyMap<string, readonly [string, string]> {
  const rows = [...out.matchAll(/^ {2}(\S.*?) {2,}(ok|warning|failed|not tried)(?: +(.*))?$/gm)]
  return new Map(rows.map(([, name = '', outcome = '', said = '']) => [name, [outcome, said]]))
}

function namesWith(table: ReturnType<typeof readTable>, wanted: string): string[] {
  return [...table].filter(([, [outcome]]) => outcome === wanted).map(([name]) => name)
}

/** All keys, and all uploads that were begun. */
async function leftIn(server: S3Server, bucket: string): Promise<readonly string[]> {
  const client = createClient(server)
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }))
  client.destroy()
  return [...Contents.map(({ Key = '' }) => Key), ...(await listMultiparts(server, bucket))]
}

describe('berth storage check on a folder', () => {
  it('prints a table and leaves no file', async (t) => {
    const folder = await createFolder()
    t.after(() => folder.remove())
    const environment = { BERTH_STORAGE_FILESYSTEM_ROOT: folder.root, BERTH_STORAGE_FILESYSTEM_BALLAST_BYTES: '0B' }
    const { code, out, err } = await run(args, { environment })
    assert.deepEqual([code, err], [0, ''], out)
    assert.ok(out.startsWith(`${folder.root}\n`), out)
    const table = readTable(out)
    assert.equal(namesWith(table, 'ok').length, table.size)
    assert.equal(table.size, out.trimEnd().split('\n').length - 1)
    assert.deepEqual(
      (await rawTree(folder.root)).filter((path) => !path.endsWith('/')),
      [],
    )
  })

  it('says what is in the way, and refuses a store in memory', async () => {
    const inTheWay = { BERTH_STORAGE_FILESYSTEM_ROOT: join(import.meta.filename, 'below') }
    const { code, err } = await run(args, { environment: inTheWay })
    assert.equal(code, 3)
    assert.match(err, /^berth: the folder .* cannot be created or written: a file is in its way\n$/)
    const memory = await run(args, { environment: { BERTH_STORAGE_KIND: 'memory' } })
    assert.deepEqual([memory.code, memory.out], [2, ''])
  })
})

describe('berth storage check on versitygw', { skip: reasonToSkip('versitygw') }, () => {
  let server: S3Server
  let bucket: string
  before(async () => {
    server = await startVersitygw()
    bucket = await createBucketFor(server)
  })
  after(() => server.remove())

  async function startScripted(t: TestContext, script: Script): Promise<string> {
    const proxy = await startProxy(server.endpoint, script)
    t.after(() => proxy.close())
    return proxy.endpoint
  }

  it('finds everything in order and leaves nothing', async () => {
    const environment = { ...environmentOf(server, bucket), BERTH_STORAGE_S3_REDIRECT: 'true' }
    const { code, out, err } = await run(args, { environment })
    assert.deepEqual([code, err], [0, ''], out)
    assert.ok(out.startsWith(`s3://${bucket}/team/berth/ at ${server.endpoint}\n`), out)
    const table = readTable(out)
    assert.deepEqual(
      [...table].filter(([, [outcome]]) => outcome !== 'ok'),
      [],
    )
    assert.match(table.get('signed URL')?.[1] ?? '', /clients are sent to it$/)
    assert.match(table.get('delete with a condition')?.[1] ?? '', /^not relied on \(auto\)/)
    assert.deepEqual(await leftIn(server, bucket), [])
  })

  it('is one sentence when the bucket cannot be opened', async () => {
    const { code, out, err } = await run(args, { environment: environmentOf(server, 'nowhere') })
    assert.deepEqual([code, out], [3, `s3://nowhere/team/berth/ at ${server.endpoint}\n`])
    assert.match(err, /^berth: there is no bucket nowhere at .*: create it, or correct storage\.s3\.bucket\n$/)
  })

  it('warns of URLs that nobody is sent to, and fails when somebody is', async (t) => {
    const endpoint = await startScripted(t, ({ url }) =>
      url.includes('X-Amz-Signature') ? { kind: 'status', status: 403, code: 'AccessDenied' } : undefined,
    )
    const environment = environmentOf(server, bucket, endpoint)
    const off = await run(args, { environment })
    assert.equal(off.code, 0, off.out)
    const [outcome, said = ''] = readTable(off.out).get('signed URL') ?? []
    assert.equal(outcome, 'warning')
    assert.match(said, /^the store answers 403 AccessDenied to it; not relied on/)
    const on = await run(args, { environment: { ...environment, BERTH_STORAGE_S3_REDIRECT: 'true' } })
    assert.equal(on.code, 4)
    assert.deepEqual(namesWith(readTable(on.out), 'failed'), ['signed URL'])
  })

  it('stopped while parts are on their way, it removes them', async (t) => {
    const endpoint = await startScripted(t, (request) => {
      if (describeCall(request) !== 'UploadPart') return undefined
      started.stop()
      return { kind: 'hang' }
    })
    const started = startRun(args, { environment: environmentOf(server, bucket, endpoint) })
    assert.equal(await started.done, 1)
    assert.equal(started.err(), 'berth: stopped; what was written is removed\n')
    const table = readTable(started.out())
    assert.deepEqual(table.get('large upload, read whole and in ranges'), ['not tried', 'stopped'])
    assert.deepEqual(table.get('object lock'), ['not tried', ''])
    assert.equal(table.get('everything is removed again')?.[0], 'ok')
    assert.deepEqual(await leftIn(server, bucket), [])
  })

  it('says where something stays', async (t) => {
    const endpoint = await startScripted(t, (request) =>
      describeCall(request) === 'DeleteObject' ? { kind: 'status', status: 403, code: 'AccessDenied' } : undefined,
    )
    const { code, out } = await run(args, { environment: environmentOf(server, bucket, endpoint) })
    assert.equal(code, 4)
    const table = readTable(out)
    assert.match(table.get('write, read, remove')?.[1] ?? '', /AccessDenied.*docs\/storage\.md has the rights/)
    const [, said = ''] = table.get('everything is removed again') ?? []
    assert.match(said, /AccessDenied.*: remove by hand what is below scratch\/\S+\/$/)
    assert.ok(namesWith(table, 'not tried').includes('order of lists'))
  })
})

describe('berth storage check on moto', { skip: reasonToSkip('moto') }, () => {
  let server: S3Server
  before(async () => {
    server = await startMoto()
  })
  after(() => server.remove())

  async function checkBehind(
    t: TestContext,
    script: Script,
    more: Readonly<Record<string, string>> = {},
    own?: string,
  ) {
    const bucket = own ?? (await createBucketFor(server))
    const proxy = await startProxy(server.endpoint, script)
    t.after(() => proxy.close())
    const result = await run(args, { environment: { ...environmentOf(server, bucket, proxy.endpoint), ...more } })
    assert.deepEqual(await leftIn(server, bucket), [])
    return { ...result, table: readTable(result.out) }
  }

  it('finds a deaf store', async (t) => {
    const exact = { BERTH_STORAGE_S3_CONDITIONAL_DELETE: 'exact' }
    const script: Script = () => ({ kind: 'drop headers', names: ['if-none-match', 'if-match'] })
    const { code, err, table } = await checkBehind(t, script, exact)
    assert.deepEqual([code, err], [4, 'berth: 4 of these failed: do not keep a registry there\n'])
    assert.deepEqual(namesWith(table, 'failed'), [
      'create if absent',
      'create if absent, 16 at once',
      'create if absent, 16 at once, 1 MiB',
      'delete with a condition',
    ])
    const [, said = ''] = table.get('create if absent, 16 at once') ?? []
    assert.match(said, /^16 of 16 writers were told that they were first \(round 1\): the store is not atomic/)
    assert.match(
      table.get('delete with a condition')?.[1] ?? '',
      /deletes: set storage\.s3\.conditionalDelete to none$/,
    )
  })

  it('finds a store that is not atomic, which one write after the other does not show', async (t) => {
    const counts = new Map<string, number>()
    const { code, table } = await checkBehind(t, ({ url, headers }) => {
      if (headers['if-none-match'] === undefined) return undefined
      const count = (counts.get(url) ?? 0) + 1
      counts.set(url, count)
      return count > 2 && count % 2 === 0 ? { kind: 'drop headers', names: ['if-none-match'] } : undefined
    })
    assert.equal(code, 4)
    assert.deepEqual(namesWith(table, 'failed'), [
      'create if absent, 16 at once',
      'create if absent, 16 at once, 1 MiB',
    ])
    assert.match(
      table.get('create if absent, 16 at once')?.[1] ?? '',
      /^\d+ of 16 writers were told that they were first/,
    )
  })

  it('warns of versioning, and tries conditions of a delete that are relied on', async (t) => {
    const bucket = await createBucketFor(server)
    await enableVersions(server, bucket)
    const exact = { BERTH_STORAGE_S3_CONDITIONAL_DELETE: 'exact' }
    const { table } = await checkBehind(t, () => undefined, exact, bucket)
    assert.deepEqual(namesWith(table, 'warning'), ['versioning'])
    assert.match(table.get('versioning')?.[1] ?? '', /^it is on: deletes free nothing without a lifecycle rule/)
    assert.match(table.get('delete with a condition')?.[1] ?? '', /^relied on \(exact\); a wrong ETag is refused/)
    // moto looks and then writes, so the races find it now and then.
    assert.deepEqual(
      namesWith(table, 'failed').filter((name) => !name.includes('at once')),
      [],
    )
  })
})

describe('a start on a bucket with versioning', { skip: reasonToSkip('moto') }, () => {
  it('is one warning, of the process that people look at', async (t) => {
    const server = await startMoto()
    t.after(() => server.remove())
    const bucket = await createBucketFor(server)
    await enableVersions(server, bucket)
    const lines: string[] = []
    const log = createLogger({
      level: 'warn',
      format: 'json',
      write: (text) => lines.push(text),
      now: () => new Date(),
    })
    const { config } = loadConfig({ environment: environmentOf(server, bucket), file: undefined, readText: () => '' })
    for (const isBackground of [true, false]) {
      const { driver } = await openStore(config, log, { isBackground })
      await driver.close()
    }
    const { driver } = await openCheckedStore(config)
    await driver.close()
    assert.equal(lines.length, 1, lines.join(''))
    assert.match(
      lines[0] ?? '',
      /"the store is not set up as it should be".*"reason":"the bucket \S+ has versioning on: deletes/,
    )
  })
})

async function enableVersions(server: S3Server, bucket: string): Promise<void> {
  const client = createClient(server)
  const VersioningConfiguration = { Status: 'Enabled' } as const
  await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }))
  client.destroy()
}
