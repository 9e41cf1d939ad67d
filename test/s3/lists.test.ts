/** Lists of more keys than one answer has, with answers that break off: in order, complete, and no call too many. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Driver, ListOptions } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { failNext, type Script } from './proxy.ts'
import { isUnavailable, type Scene, setScene } from './scene.ts'
import { reasonToSkip, type S3Server, startVersitygw } from './servers.ts'

const count = 2501
const numbers = Array.from({ length: count }, (_, i) => String(i).padStart(5, '0'))
const flat = numbers.map((number) => `data/flat/${number}`)
const folds = numbers.slice(0, 1201).map((number) => `garbage/${number}/`)
const faultless: Script = () => undefined

describe('long lists', { skip: reasonToSkip('versitygw') }, () => {
  let folder: string
  let server: S3Server
  let scene: Scene
  let driver: Driver
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-s3-'))
    server = await startVersitygw({ folder })
    scene = await setScene(server)
    driver = scene.driver
    await fill(join(folder, scene.bucket))
  })
  after(async () => {
    await scene.close()
    await server.remove()
    await rm(folder, { recursive: true })
  })
  beforeEach(() => scene.play(faultless))

  const list = async (prefix: string, options: ListOptions) => {
    const { entries, more } = await driver.list(prefix, options)
    return { keys: entries.map(({ key }) => key), more }
  }

  for (const limit of [1, 999, 1000, 1001, 1999, 2000, 2500, 2501, 2502, 9999]) {
    it(`lists ${limit} of ${count} keys in order, and says whether there are more`, async () => {
      assert.deepEqual(await list('data/flat/', { limit }), { keys: flat.slice(0, limit), more: limit < count })
      // One more than is wanted says whether there are more.
      assert.equal(scene.calls().length, Math.ceil(Math.min(limit + 1, count) / 1000))
    })
  }

  for (const limit of [999, 1000, 1001, 1200, 1201, 2000]) {
    it(`lists ${limit} folds, where pages have nothing else`, async () => {
      const expected = { keys: folds.slice(0, limit), more: limit < folds.length }
      assert.deepEqual(await list('garbage/', { limit, delimiter: '/' }), expected)
    })
  }

  it('lists behind any key, of which the fold still counts when there is more in it', async () => {
    for (const at of [0, 998, 999, 1000, 1199, 1200]) {
      const fold = folds[at] ?? ''
      const rest = folds.slice(at)
      for (const [after, keys] of [
        [`${fold}a`, rest],
        [`${fold}b`, rest.slice(1)],
        [fold, rest.slice(1)],
        [fold.slice(0, -1), rest],
      ] as const) {
        const found = await list('garbage/', { after, limit: 150, delimiter: '/' })
        assert.deepEqual(found, { keys: keys.slice(0, 150), more: keys.length > 150 }, after)
      }
    }
  })

  it('gives a page again whose answer was cut, at any place and in any page', async () => {
    for (const bytes of [0, 200, 100_000]) {
      for (const page of [0, 2]) {
        scene.play((_, index) => (index === page ? { kind: 'cut answer', bytes } : undefined))
        const { keys } = await list('data/flat/', { limit: 9999 })
        assert.deepEqual(keys, flat)
        assert.equal(scene.calls().length, 4)
      }
    }
  })

  it('gives no list at all when a page is always cut', async () => {
    scene.play((request) =>
      request.url.includes('continuation-token') ? { kind: 'cut answer', bytes: 5000 } : undefined,
    )
    await assert.rejects(driver.list('data/flat/', { limit: 2000 }), isUnavailable)
  })

  it('pages on over every sort of fault', async () => {
    scene.play((_, index) => {
      if (index % 3 === 0) return { kind: 'cut answer', bytes: 300 }
      return index % 3 === 1 ? { kind: 'status', status: 503, code: 'SlowDown' } : undefined
    })
    const keys: string[] = []
    for await (const { key } of listAll(driver, 'data/flat/', { pageSize: 400 })) keys.push(key)
    assert.deepEqual(keys, flat)
  })

  it('has the times and sizes of what it lists, and the time of the store', async () => {
    scene.play(failNext('ListObjectsV2', { kind: 'reset before' }))
    const { entries, now } = await driver.list('data/flat/', { limit: 1500, times: true })
    for (const { modified, size } of entries) assert.ok(size === 1 && modified !== undefined && modified <= now + 1000)
  })
})

/** Writes the files as the server keeps them, since thousands of calls take long. */
async function fill(bucket: string): Promise<void> {
  await mkdir(join(bucket, 'data/flat'), { recursive: true })
  await Promise.all(flat.map((key) => writeFile(join(bucket, key), 'x')))
  for (const fold of folds) {
    await mkdir(join(bucket, fold), { recursive: true })
    await Promise.all(['a', 'b'].map((name) => writeFile(join(bucket, fold, name), 'x')))
  }
}
