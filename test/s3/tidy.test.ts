/** Multipart uploads that nobody finished are aborted: the old ones, below the prefix, whatever the store says of those that went meanwhile. */
import assert from 'node:assert/strict'
import { CreateMultipartUploadCommand, UploadPartCommand } from '@aws-sdk/client-s3'
import { after, before, describe, it } from 'node:test'
import type { Bucket, Multipart, StartedMultipart } from '../../src/storage/s3/bucket.ts'
import { S3Error } from '../../src/storage/s3/errors.ts'
import { createRetry } from '../../src/storage/s3/retry.ts'
import type { S3Store } from '../../src/storage/s3/store.ts'
import { tidyMultiparts } from '../../src/storage/s3/tidy.ts'
import { listMultiparts } from './open.ts'
import { failNext, type Script } from './proxy.ts'
import { isUnavailable, type Scene, setScene } from './scene.ts'
import { createClient, reasonToSkip, type S3Server, startMoto, startVersitygw } from './servers.ts'

const hour = 3_600_000
const now = 1_800_000_000_000

/** A bucket with these uploads, two a page, each with the age of its last part; it answers as `fails` says. */
function createUploads(
  ages: Readonly<Record<string, { started: number; part?: number }>>,
  fails: Partial<Bucket> = {},
) {
  const aborted: string[] = []
  const all: StartedMultipart[] = Object.entries(ages).map(([key, { started }]) => ({
    key,
    id: `id of ${key}`,
    started: now - started,
  }))
  const unused = (): never => assert.fail('tidy does not ask for it')
  const bucket: Bucket = {
    origin: 'http://store.example',
    get: unused,
    open: unused,
    keepsVersions: unused,
    locksFor: unused,
    head: unused,
    presign: unused,
    put: unused,
    copy: unused,
    remove: unused,
    startMultipart: unused,
    sendPart: unused,
    complete: unused,
    close: unused,
    list: async () => ({ objects: [], prefixes: [], next: undefined, now }),
    async listMultiparts(_prefix, { after }) {
      const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after.id) + 1
      const uploads = all.slice(from, from + 2)
      const last = uploads.at(-1)
      return { uploads, next: last === all.at(-1) ? undefined : last }
    },
    async lastPartTime({ key }) {
      const part = ages[key]?.part
      return part === undefined ? undefined : now - part
    },
    async abort({ key }: Multipart) {
      aborted.push(key)
    },
    ...fails,
  }
  const store: S3Store = {
    bucket,
    retry: createRetry({ maxAttempts: 4, random: () => 0, sleep: async () => undefined }),
    createId: unused,
    objectOf: (key) => `mine/${key}`,
    keyOf: (object) => object.slice(5),
    budget: { hold: unused, release: unused, hasRoom: unused, admit: unused },
    partBytes: 1,
    uploadConcurrency: 1,
    maxValueBytes: 1,
    isEncrypted: false,
    removesExactly: false,
    multipartAgeMs: 24 * hour,
  }
  return { store, aborted }
}

const old = { started: 25 * hour }

describe('tidy', () => {
  it('aborts what was begun a day ago and got no part since, below the prefix, on every page', async () => {
    const { store, aborted } = createUploads({
      'mine/old': old,
      'mine/old with parts': { started: 50 * hour, part: 25 * hour },
      'mine/young': { started: 23 * hour },
      'mine/young part': { started: 50 * hour, part: 1 * hour },
      'mine too': old,
      'other/old': old,
      'mine/last': old,
    })
    assert.equal(await tidyMultiparts(store, {}), 3)
    assert.deepEqual(aborted, ['mine/old', 'mine/old with parts', 'mine/last'])
  })

  it('goes on when an upload has gone meanwhile, and tries every call again', async () => {
    const seen = new Set<string>()
    /** Fails each sort of call once. */
    const once = <T>(name: string, value: T): T => {
      if (seen.has(name)) return value
      seen.add(name)
      throw new S3Error('InternalError', 500, '')
    }
    const gone = new S3Error('NoSuchUpload', 404, '')
    const plain = createUploads({ a: old })
    const { store } = createUploads(
      { 'mine/a': old, 'mine/b': old, 'mine/c': old },
      {
        list: async (query) => once('list', await plain.store.bucket.list(query)),
        lastPartTime: async ({ key }) => {
          if (key === 'mine/b') throw gone
          return once('parts', undefined)
        },
        abort: async () => {
          once('abort', undefined)
          throw gone
        },
      },
    )
    assert.equal(await tidyMultiparts(store, {}), 3)
    assert.deepEqual([...seen].sort(), ['abort', 'list', 'parts'])
  })

  it('stops when it is aborted', async () => {
    const controller = new AbortController()
    const { store } = createUploads(
      { 'mine/a': old, 'mine/b': old },
      {
        async abort() {
          controller.abort(new Error('enough'))
          throw new S3Error('InternalError', 500, '')
        },
      },
    )
    await assert.rejects(tidyMultiparts(store, { signal: controller.signal }), /enough/)
  })
})

for (const [name, start, knowsBeginning] of [
  ['versitygw', startVersitygw, true],
  // It says of every upload that it was begun in 2010.
  ['moto', startMoto, false],
] as const) {
  describe(`tidy by ${name}`, { skip: reasonToSkip(name) }, () => {
    let server: S3Server
    let scene: Scene
    before(async () => {
      server = await start()
      scene = await setScene(server, { prefix: 'mine/' })
    })
    after(async () => {
      await scene.close()
      await server.remove()
    })

    const begin = async (key: string, parts: number): Promise<void> => {
      const client = createClient(server)
      const where = { Bucket: scene.bucket, Key: key }
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(where))
      for (let number = 1; number <= parts; number++) {
        await client.send(new UploadPartCommand({ ...where, UploadId, PartNumber: number, Body: Buffer.from('x') }))
      }
      client.destroy()
    }
    const left = async (): Promise<string[]> =>
      (await listMultiparts(server, scene.bucket)).map((upload) => upload.slice(0, upload.indexOf(' '))).sort()

    it('aborts only what is old, and only below the prefix', async () => {
      await begin('mine/data/a', 0)
      await begin('mine/data/b', 2)
      await begin('mineral/c', 1)
      await begin('d', 1)
      if (knowsBeginning) assert.equal(await scene.driver.tidy(), 0)
      // Everything is older than what will be in an hour.
      const later = await scene.open({ multipartAgeMs: -hour })
      assert.equal(await later.tidy(), 2)
      assert.deepEqual(await left(), ['d', 'mineral/c'])
      assert.equal(await later.tidy(), 0)
    })

    it('survives what goes wrong once, and says so when it goes on', async () => {
      const later = await scene.open({ multipartAgeMs: -hour })
      const faults: readonly Script[] = [
        failNext('ListObjectsV2', { kind: 'reset before' }),
        failNext('ListMultipartUploads', { kind: 'cut answer', bytes: 100 }),
        failNext('ListParts', { kind: 'status', status: 500, code: 'InternalError' }),
        failNext('ListParts', { kind: 'status', status: 404, code: 'NoSuchUpload' }),
        failNext('AbortMultipartUpload', { kind: 'lost answer' }),
      ]
      for (const fault of faults) {
        await begin('mine/data/a', 1)
        scene.play(fault)
        assert.equal(await later.tidy(), 1)
        assert.deepEqual(await left(), ['d', 'mineral/c'])
      }
      scene.play(failNext('ListMultipartUploads', { kind: 'status', status: 500, code: 'InternalError' }, 99))
      await assert.rejects(later.tidy(), isUnavailable)
    })
  })
}
