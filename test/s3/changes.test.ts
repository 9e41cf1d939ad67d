/** Creating, promoting and removing while answers are lost and others write: nothing acknowledged is lost, nothing is told that is not so. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Driver } from '../../src/storage/driver.ts'
import { describeCall } from './calls.ts'
import { createBucketFor, openS3 } from './open.ts'
import { failNext, type Fault, type Script } from './proxy.ts'
import { eventually, isUnavailable, newName, type Scene, setScene } from './scene.ts'
import { reasonToSkip, type S3Server, startVersitygw } from './servers.ts'

const text = async (driver: Driver, key: string): Promise<string | undefined> =>
  (await driver.read(key))?.bytes.toString()

const faultless: Script = () => undefined
const lost: Fault = { kind: 'lost answer' }

describe('changes under faults', { skip: reasonToSkip('versitygw') }, () => {
  let server: S3Server
  let scene: Scene
  let driver: Driver
  let direct: Driver
  let name: string
  before(async () => {
    server = await startVersitygw()
    // It trusts for ever that the bucket is there, so that calls can be counted.
    scene = await setScene(server, { elapsed: () => 0 })
    ;({ driver, direct } = scene)
  })
  after(async () => {
    await scene.close()
    await server.remove()
  })
  beforeEach(() => {
    name = newName()
    scene.play(faultless)
  })

  describe('creating', () => {
    for (const [size, rounds] of [
      [20, 30],
      [1024 * 1024, 4],
    ] as const) {
      it(`one of 16 writers of ${size} bytes creates a key, and its content is there`, async () => {
        const drivers = [driver, direct, await scene.open({}), await scene.open({})]
        for (let round = 0; round < rounds; round++) {
          const key = `tags/${name}/${round}`
          const values = Array.from({ length: 16 }, (_, i) => Buffer.alloc(size, `writer ${i} `))
          const results = await Promise.all(
            values.map((value, i) => (drivers[i % 4] ?? driver).write(key, value, { ifAbsent: true })),
          )
          assert.equal(results.filter((result) => result === 'written').length, 1)
          const winner = values[results.indexOf('written')]
          assert.ok(winner !== undefined && (await direct.read(key))?.bytes.equals(winner))
        }
      })
    }

    it('knows its own value by its writer when the answer was lost', async () => {
      scene.play(failNext('PutObject', lost))
      assert.equal(await driver.write(`tags/${name}/a`, Buffer.from('ours'), { ifAbsent: true }), 'written')
      assert.deepEqual(scene.calls(), ['PutObject', 'PutObject', 'HeadObject'])
    })

    it('knows it also when every answer was lost', async () => {
      scene.play(failNext('PutObject', lost, 99))
      assert.equal(await driver.write(`tags/${name}/a`, Buffer.from('ours'), { ifAbsent: true }), 'written')
      assert.equal(scene.calls().filter((call) => call === 'PutObject').length, 4)
    })

    it("does not take another's value for its own, with the same bytes", async () => {
      await direct.write(`tags/${name}/a`, Buffer.from('same'))
      scene.play(failNext('PutObject', { kind: 'reset before' }))
      assert.equal(await driver.write(`tags/${name}/a`, Buffer.from('same'), { ifAbsent: true }), 'exists')
      scene.play(failNext('PutObject', { kind: 'reset before' }, 99))
      assert.equal(await driver.write(`tags/${name}/a`, Buffer.from('same'), { ifAbsent: true }), 'exists')
    })

    it('looks whose it is when the key is there, and tries again when the store had a conflict', async () => {
      await direct.write(`tags/${name}/a`, Buffer.from('old'))
      assert.equal(await driver.write(`tags/${name}/a`, Buffer.from('new'), { ifAbsent: true }), 'exists')
      assert.deepEqual(scene.calls(), ['PutObject', 'HeadObject'])
      scene.play(failNext('PutObject', { kind: 'status', status: 409, code: 'ConditionalRequestConflict' }, 2))
      assert.equal(await driver.write(`tags/${name}/b`, Buffer.from('new'), { ifAbsent: true }), 'written')
    })

    it('says what to do about a store that does not know the condition', async () => {
      scene.play(failNext('PutObject', { kind: 'status', status: 501, code: 'NotImplemented' }))
      const write = driver.write(`tags/${name}/a`, Buffer.from('x'), { ifAbsent: true })
      await assert.rejects(write, /does not know "only if absent"/)
      assert.equal(scene.calls().length, 1)
    })

    it('does not know when the store is away, and has written nothing', async () => {
      scene.play(failNext('PutObject', { kind: 'reset before' }, 99))
      await assert.rejects(driver.write(`tags/${name}/a`, Buffer.from('x'), { ifAbsent: true }), isUnavailable)
      assert.equal(await direct.stat(`tags/${name}/a`), undefined)
    })
  })

  describe('an abort', () => {
    const actions: Record<string, (on: Driver, signal: AbortSignal) => Promise<unknown>> = {
      PutObject: (on, signal) => on.write(`data/${name}/a`, Buffer.from('x'), { signal }),
      CopyObject: (on, signal) => on.promote(`pushes/${name}/a`, `tags/${name}/a`, { signal }),
      DeleteObject: (on, signal) => on.remove(`data/${name}/gone`, { signal }),
    }
    for (const call of ['PutObject', 'CopyObject', 'DeleteObject'] as const) {
      const start = async (on: Driver, fault: Fault) => {
        await direct.write(`pushes/${name}/a`, Buffer.from('x'))
        await direct.write(`data/${name}/gone`, Buffer.from('x'))
        scene.play((request) => (describeCall(request) === call ? fault : undefined))
        const controller = new AbortController()
        const action = actions[call]?.(on, controller.signal)
        await eventually(() => scene.calls().includes(call), 'the call is made')
        controller.abort(new Error('enough'))
        return action
      }

      it(`does not cut off a ${call}: what has happened is told`, async () => {
        const answer = await start(driver, { kind: 'delay', ms: 50 })
        assert.ok(answer === 'written' || answer === 'done' || answer === 'removed')
      })

      it(`ends the attempts at a ${call}, of which nobody knows whether it has happened`, async () => {
        const hasty = await scene.open({ socketTimeoutMs: 600 })
        await assert.rejects(start(hasty, { kind: 'hang' }), isUnavailable)
        assert.equal(scene.calls().filter((one) => one === call).length, 1)
      })
    }
  })

  describe('promoting', () => {
    let entry: string
    let record: string
    beforeEach(async () => {
      entry = `pushes/${name}/a`
      record = `tags/${name}/a`
      await direct.write(record, Buffer.from('old'))
      await direct.write(entry, Buffer.from('new'))
    })
    const copies = (): number => scene.calls().filter((call) => call === 'CopyObject').length

    it('copies, then removes the entry', async () => {
      assert.equal(await driver.promote(entry, record), 'done')
      assert.deepEqual(scene.calls(), ['CopyObject', 'DeleteObject'])
    })

    for (const fault of [lost, { kind: 'hang after' }] as const) {
      it(`${fault.kind}: what has landed is done, by one copy`, async () => {
        const hasty = await scene.open({ socketTimeoutMs: 600 })
        scene.play(failNext('CopyObject', fault))
        assert.equal(await hasty.promote(entry, record), 'done')
        assert.equal(copies(), 1)
        assert.deepEqual([await text(direct, record), await direct.stat(entry)], ['new', undefined])
      })
    }

    for (const fault of [
      { kind: 'reset before' },
      { kind: 'hang' },
      { kind: 'status', status: 500, code: 'InternalError' },
      { kind: 'status', status: 503, code: 'InternalError' },
      { kind: 'status', status: 502, code: 'BadGateway' },
    ] as const) {
      it(`${fault.kind} ${'code' in fault ? fault.code : ''}: the copy may still land, so it is not sent again`, async () => {
        const hasty = await scene.open({ socketTimeoutMs: 600 })
        scene.play(failNext('CopyObject', fault))
        await assert.rejects(hasty.promote(entry, record), isUnavailable)
        assert.equal(copies(), 1)
        assert.deepEqual([await text(direct, record), await text(direct, entry)], ['old', 'new'])
        assert.equal(await hasty.promote(entry, record), 'done')
      })
    }

    it('sends the copy again when the store says that it did nothing', async () => {
      scene.play(failNext('CopyObject', { kind: 'status', status: 503, code: 'SlowDown' }, 3))
      assert.equal(await driver.promote(entry, record), 'done')
      assert.equal(copies(), 4)
    })

    it("does not take another's copy for its own", async () => {
      await direct.write(record, Buffer.from('new'))
      scene.play(failNext('CopyObject', { kind: 'reset before' }))
      await assert.rejects(driver.promote(entry, record), isUnavailable)
    })

    it('refuses when the entry is gone, also after the store put it off', async () => {
      await direct.remove(entry)
      scene.play(failNext('CopyObject', { kind: 'status', status: 503, code: 'SlowDown' }))
      assert.equal(await driver.promote(entry, record), 'refused')
      assert.equal(await text(direct, record), 'old')
    })

    it('tries again to remove the entry, and says so when it cannot; then it is there, as is the record', async () => {
      scene.play(failNext('DeleteObject', { kind: 'status', status: 500, code: 'InternalError' }, 2))
      assert.equal(await driver.promote(entry, record), 'done')
      await direct.write(entry, Buffer.from('newer'))
      scene.play(failNext('DeleteObject', { kind: 'status', status: 500, code: 'InternalError' }, 99))
      await assert.rejects(driver.promote(entry, record), isUnavailable)
      assert.deepEqual([await text(direct, record), await text(direct, entry)], ['newer', 'newer'])
      scene.play(faultless)
      assert.equal(await driver.promote(entry, record), 'done')
    })

    it('is done where a store says that the entry, removed by an attempt before, is absent', async () => {
      let deletes = 0
      scene.play((request) => {
        if (describeCall(request) !== 'DeleteObject') return undefined
        return deletes++ === 0 ? lost : { kind: 'status', status: 404, code: 'NoSuchKey' }
      })
      assert.equal(await driver.promote(entry, record), 'done')
      assert.equal(deletes, 2)
    })
  })

  describe('removing', () => {
    const isDelete = (request: Parameters<Script>[0]): boolean => describeCall(request) === 'DeleteObject'

    it('says removed when the answer was lost', async () => {
      await direct.write(`data/${name}/a`, Buffer.from('x'))
      scene.play(failNext('DeleteObject', lost))
      assert.equal(await driver.remove(`data/${name}/a`), 'removed')
      assert.deepEqual(scene.calls(), ['HeadObject', 'DeleteObject', 'HeadObject', 'GetObject'])
    })

    for (const [ifUnchanged, answer] of [
      ['given', 'changed'],
      ['not given', 'removed'],
    ] as const) {
      it(`leaves what somebody else wrote after an answer was lost, version ${ifUnchanged}`, async () => {
        const key = `tags/${name}/a`
        await direct.write(key, Buffer.from('x'))
        const version = (await direct.stat(key))?.version ?? ''
        // The same bytes: only who wrote them tells.
        const sleep = (): Promise<unknown> => direct.write(key, Buffer.from('x'))
        const other = await scene.open({ sleep })
        scene.play(failNext('DeleteObject', lost))
        assert.equal(await other.remove(key, ifUnchanged === 'given' ? { ifUnchanged: version } : {}), answer)
        assert.equal(scene.proxy.requests.filter(isDelete).length, 1)
        assert.equal(await text(direct, key), 'x')
      })
    }

    it('sends the condition only to a store that is exact', async () => {
      for (const [conditionalDelete, count] of [
        ['exact', 1],
        ['none', 0],
        ['auto', 0],
      ] as const) {
        const key = `tags/${name}/${conditionalDelete}`
        const other = await scene.open({ conditionalDelete })
        await direct.write(key, Buffer.from('x'))
        const version = (await direct.stat(key))?.version ?? ''
        scene.play(faultless)
        assert.equal(await other.remove(key, { ifUnchanged: version }), 'removed')
        const conditions = scene.proxy.requests.filter(isDelete).map(({ headers }) => headers['if-match'])
        assert.equal(conditions.filter((one) => one !== undefined).length, count)
      }
    })

    it('takes a refused condition for a change, and absence at the last moment for removed', async () => {
      const other = await scene.open({ conditionalDelete: 'exact' })
      for (const [status, code, answer] of [
        [412, 'PreconditionFailed', 'changed'],
        [404, 'NoSuchKey', 'removed'],
      ] as const) {
        const key = `tags/${name}/${status}`
        await direct.write(key, Buffer.from('x'))
        const version = (await direct.stat(key))?.version ?? ''
        scene.play(failNext('DeleteObject', { kind: 'status', status, code }))
        assert.equal(await other.remove(key, { ifUnchanged: version }), answer)
      }
    })
  })
})

describe('a bucket that is gone', { skip: reasonToSkip('versitygw') }, () => {
  it('is no absence of its keys', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-s3-'))
    const server = await startVersitygw({ folder })
    t.after(async () => {
      await server.remove()
      await rm(folder, { recursive: true })
    })
    let now = 0
    const bucket = await createBucketFor(server)
    const driver = await openS3(server, bucket, { elapsed: () => now })
    t.after(() => driver.close())
    assert.equal(await driver.stat('data/a/b'), undefined)
    assert.equal(await driver.read('data/a/b'), undefined)
    await rm(join(folder, bucket), { recursive: true })
    now += 2000
    for (const action of [
      () => driver.stat('data/a/b'),
      () => driver.read('data/a/b'),
      () => driver.open('data/a/b', { start: 0, end: 0 }),
      () => driver.remove('data/a/b'),
      () => driver.promote('pushes/a/b', 'tags/a/b'),
      () => driver.list('data/', { limit: 1 }),
      () => driver.tidy(),
    ]) {
      await assert.rejects(action, isUnavailable)
    }
  })
})
