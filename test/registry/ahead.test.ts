/** What a kept record leads to is looked at beside the record, and counts only if that still stands. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { parseReference } from '../../src/oci/name.ts'
import { manifestKey } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { type Driver, StorageError } from '../../src/storage/driver.ts'
import { createWorld, pushBlob, pushImage, readBlob, repo, sha256, type World } from './harness.ts'

const text = 'too many for the memory'.repeat(1000)
const digest = sha256(text)
const unknown = { code: 'BLOB_UNKNOWN' }
const away = new StorageError('unavailable', 'the store is away')

interface Scene {
  readonly world: World
  /** It has read the blob. */
  readonly registry: Registry
  /** How many times bytes are open now. */
  readonly open: () => number
  /** What was opened, and by whose signal it may be called off. */
  readonly looks: { readonly key: string; readonly signal: AbortSignal | undefined }[]
}

async function createScene(overrides: Partial<Driver> = {}): Promise<Scene> {
  const world = createWorld()
  const { driver } = world.context
  let open = 0
  const looks: Scene['looks'] = []
  const counting: Driver['open'] = async (key, range, options) => {
    looks.push({ key, signal: options?.signal })
    const opened = await driver.open(key, range, options)
    if (opened === undefined) return undefined
    open++
    const close = async (): Promise<void> => {
      open--
      await opened.close()
    }
    return { ...opened, close }
  }
  const registry = createLocalRegistry({ ...world.context, driver: { ...driver, open: counting, ...overrides } })
  await pushBlob(world.other, repo, text)
  await readBlob(registry, repo, digest)
  open = 0
  world.calls.length = 0
  looks.length = 0
  return { world, registry, open: () => open, looks }
}

/** Lets what is given up be closed. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await turn()
}

describe('the bytes that a kept link leads to', () => {
  const callsWhileAsked = async ({ world, registry }: Scene): Promise<string> => {
    let seen: string[] = []
    world.intercept = async ({ method }) => {
      if (method !== 'stat') return
      await settle()
      seen = world.calls.map((call) => call.method)
    }
    assert.equal(await readBlob(registry, repo, digest), text)
    assert.equal(world.calls.length, 2)
    return seen.join(' ')
  }

  it('are opened while the link is looked at', async () => {
    assert.equal(await callsWhileAsked(await createScene()), 'stat open')
  })

  it('are opened after it where the store is files', async () => {
    assert.equal(await callsWhileAsked(await createScene({ pathOf: (key) => key })), 'stat')
  })

  it('stay open for whoever asked', async () => {
    const { registry, open } = await createScene()
    const blob = await registry.blobs.open(repo, digest, (size) => [{ start: 0, end: size }])
    await settle()
    assert.equal(open(), 1)
    await blob.close()
    assert.equal(open(), 0)
  })

  it('are closed again, and unknown, when the link is gone', async () => {
    const { world, registry, open, looks } = await createScene()
    await world.other.blobs.remove(repo, digest)
    await assert.rejects(readBlob(registry, repo, digest), unknown)
    await settle()
    assert.equal(open(), 0)
    assert.equal(looks[0]?.signal?.aborted, true)
    world.calls.length = 0
    await assert.rejects(readBlob(registry, repo, digest), unknown)
    assert.ok(!world.calls.some(({ method }) => method === 'open'), 'it is not tried again')
  })

  it('are closed again when another upload has replaced the link, and its bytes are read', async () => {
    const { world, registry, open, looks } = await createScene()
    const [before = ''] = await world.keys('data/')
    await world.other.blobs.remove(repo, digest)
    await pushBlob(world.other, repo, text)
    const now = (await world.keys('data/')).find((key) => key !== before)
    const blob = await registry.blobs.open(repo, digest, (size) => [{ start: 0, end: size }])
    await settle()
    assert.deepEqual(
      looks.map(({ key, signal }) => [key, signal?.aborted]),
      [
        [before, true],
        [now, undefined],
      ],
    )
    assert.equal(open(), 1)
    await blob.close()
    assert.equal(open(), 0)
  })

  it('are called off with the request', async () => {
    const { world, registry, looks } = await createScene()
    const request = new AbortController()
    const atOnce: (boolean | undefined)[] = []
    world.intercept = async ({ method }) => {
      if (method !== 'stat') return
      await settle()
      atOnce.push(looks[0]?.signal?.aborted)
      request.abort()
      atOnce.push(looks[0]?.signal?.aborted)
      throw away
    }
    const open = registry.blobs.open(repo, digest, (size) => [{ start: 0, end: size }], { signal: request.signal })
    await assert.rejects(open, away)
    assert.deepEqual(atOnce, [false, true])
  })

  it('are closed again when the link cannot be looked at', async () => {
    const { world, registry, open, looks } = await createScene()
    world.intercept = ({ method }) => {
      if (method === 'stat') throw away
    }
    await assert.rejects(readBlob(registry, repo, digest), away)
    await settle()
    assert.deepEqual([looks.map(({ signal }) => signal?.aborted), open()], [[true], 0])
  })

  it('are opened once more when that failed: the store may be well since it has said that the link stands', async () => {
    const { world, registry } = await createScene()
    // The first error is there long before anybody waits for it, the second after the link was seen.
    for (const late of ['stat', 'open']) {
      let opens = 0
      world.intercept = async ({ method }) => {
        if (method === late) await settle()
        if (method === 'open' && ++opens === 1) throw away
      }
      assert.equal(await readBlob(registry, repo, digest), text)
      assert.equal(opens, 2)
    }
  })

  it('that cannot be opened are an error of a link that stands only', async () => {
    const { world, registry } = await createScene()
    world.intercept = ({ method }) => {
      if (method === 'open') throw away
    }
    await assert.rejects(readBlob(registry, repo, digest), away)
    await world.other.blobs.remove(repo, digest)
    await assert.rejects(readBlob(registry, repo, digest), unknown)
  })

  it('that are gone are looked for behind a link that is there again', async () => {
    const { world, registry } = await createScene()
    const [bytes = ''] = await world.keys('data/')
    world.intercept = async ({ method }) => {
      if (method !== 'stat') return
      world.intercept = undefined
      await world.other.blobs.remove(repo, digest)
      await world.driver.remove(bytes)
      await pushBlob(world.other, repo, text)
    }
    assert.equal(await readBlob(registry, repo, digest), text)
  })

  it('have no range that somebody chose wrongly when the link is gone', async () => {
    const { world, registry } = await createScene()
    const choose = (size: number): never => {
      throw new Error(`no range of ${size}`)
    }
    await assert.rejects(registry.blobs.open(repo, digest, choose), /no range of/)
    await world.other.blobs.remove(repo, digest)
    await assert.rejects(registry.blobs.open(repo, digest, choose), unknown)
  })
})

describe('a look that nobody needs', () => {
  it('is called off, of bytes for a redirect and of a manifest, too', async () => {
    const looks: { readonly key: string; readonly signal: AbortSignal | undefined }[] = []
    const world = createWorld()
    const { driver } = world.context
    const stat: Driver['stat'] = (key, options) => {
      looks.push({ key, signal: options?.signal })
      return driver.stat(key, options)
    }
    const signUrl = async (): Promise<string> => 'https://elsewhere.test/'
    const registry = createLocalRegistry({ ...world.context, driver: { ...driver, stat, signUrl } })
    await pushBlob(world.other, repo, text)
    const image = await pushImage(world.other, repo, 'v1')
    const reads: Readonly<Record<string, () => Promise<unknown>>> = {
      'data/': () => registry.blobs.sign(repo, digest),
      'manifests/': () => registry.manifests.get(repo, parseReference('v1')),
    }
    for (const read of Object.values(reads)) await read()
    await world.other.blobs.remove(repo, digest)
    await world.other.manifests.remove(repo, parseReference(image.digest))
    for (const [prefix, read] of Object.entries(reads)) {
      looks.length = 0
      await read().catch(() => undefined)
      const [ahead, ...more] = looks.filter(({ key }) => key.startsWith(prefix))
      assert.deepEqual([ahead?.signal?.aborted, more], [true, []])
    }
  })
})

describe('the manifest that a kept tag leads to', () => {
  it('is looked at while the tag is, and not the answer once the tag has moved', async () => {
    const world = createWorld()
    const { registry, other, calls } = world
    const get = async (): Promise<string> => (await registry.manifests.get(repo, parseReference('v1'))).digest
    const first = await pushImage(other, repo, 'v1', ['one'])
    assert.equal(await get(), first.digest)
    calls.length = 0
    let most = 0
    world.intercept = async () => {
      await settle()
      most = Math.max(most, calls.length)
    }
    assert.equal(await get(), first.digest)
    assert.deepEqual([most, calls.map(({ method }) => method)], [2, ['stat', 'stat']])
    world.intercept = undefined
    const second = await pushImage(other, repo, 'v1', ['two'])
    assert.equal(await get(), second.digest)
    await other.manifests.remove(repo, parseReference('v1'))
    await assert.rejects(get(), { code: 'MANIFEST_UNKNOWN' })
  })

  it('is not believed to be there because it was when the tag was read', async () => {
    const { registry, other, driver } = createWorld()
    const { digest: pushed } = await pushImage(other, repo, 'v1')
    await registry.manifests.get(repo, parseReference('v1'))
    // As somebody leaves it who is killed in the middle of a DELETE.
    await driver.remove(manifestKey(repo, pushed))
    await assert.rejects(registry.manifests.get(repo, parseReference('v1')), { code: 'MANIFEST_UNKNOWN' })
  })
})
