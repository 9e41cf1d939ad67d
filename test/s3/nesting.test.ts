/** A store of files and folders says that a key lies below another also when a folder was just removed: that passes. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { StorageError } from '../../src/storage/driver.ts'
import { createBucketFor, openS3 } from './open.ts'
import { failNext, startProxy } from './proxy.ts'
import { reasonToSkip, startVersitygw } from './servers.ts'

it(
  'a key that seems to lie below another is tried again; one that does is a bug',
  { skip: reasonToSkip('versitygw') },
  async (t) => {
    const server = await startVersitygw()
    t.after(() => server.remove())
    const bucket = await createBucketFor(server)
    const proxy = await startProxy(server.endpoint)
    t.after(() => proxy.close())
    const driver = await openS3({ ...server, endpoint: proxy.endpoint }, bucket)
    t.after(() => driver.close())
    const fault = { kind: 'status', status: 409, code: 'ExistingObjectIsDirectory' } as const

    proxy.setScript(failNext('PutObject', fault))
    assert.equal(await driver.write('pushes/a', Buffer.from('1'), { ifAbsent: true }), 'written')
    proxy.setScript(failNext('CopyObject', fault))
    assert.equal(await driver.promote('pushes/a', 'tags/b/c'), 'done')
    proxy.setScript(failNext('PutObject', fault, Number.POSITIVE_INFINITY))
    await assert.rejects(
      driver.write('pushes/d', Buffer.from('1')),
      (error) => error instanceof Error && !(error instanceof StorageError) && /also a prefix/.test(error.message),
    )
  },
)
