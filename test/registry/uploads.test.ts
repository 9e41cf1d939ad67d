import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import { OutOfOrderError } from '../../src/registry/registry.ts'
import { bodyOf, brokenBody, chunkOf, createWorld, elsewhere, pushBlob, readBlob, repo, sha256 } from './harness.ts'

const by = { by: 'test' }

describe('an upload', () => {
  it('becomes a blob when it is closed with the digest of its chunks', async () => {
    const { registry } = createWorld()
    const { id } = await registry.uploads.start(repo, by)
    assert.deepEqual(await registry.uploads.append(repo, id, chunkOf('hello ')), { id, offset: 6 })
    assert.deepEqual(await registry.uploads.append(repo, id, chunkOf('wide ', 6)), { id, offset: 11 })
    const digest = sha256('hello wide world')
    assert.deepEqual(await registry.uploads.close(repo, id, digest, chunkOf('world', 11)), { digest, size: 16 })
    assert.equal(await readBlob(registry, repo, digest), 'hello wide world')
  })

  it('can be continued by another process at every request, and is then hashed by reading back', async () => {
    const { registry, other } = createWorld()
    const { id } = await registry.uploads.start(repo, by)
    await other.uploads.append(repo, id, chunkOf('one '))
    await registry.uploads.append(repo, id, chunkOf('two ', 4))
    assert.deepEqual(await other.uploads.status(repo, id), { id, offset: 8 })
    await other.uploads.close(repo, id, sha256('one two '), undefined)
    assert.equal(await readBlob(registry, repo, sha256('one two ')), 'one two ')
  })

  it('takes a range across several chunks', async () => {
    const { registry } = createWorld()
    const { id } = await registry.uploads.start(repo, by)
    for (let i = 0; i < 5; i++) await registry.uploads.append(repo, id, chunkOf(`<${i}>`, i * 3))
    const digest = sha256('<0><1><2><3><4>')
    await registry.uploads.close(repo, id, digest, undefined)
    const blob = await registry.blobs.open(repo, digest, () => [
      { start: 2, end: 10 },
      { start: 14, end: 15 },
    ])
    assert.deepEqual(
      blob.parts.map((part) => part.size),
      [8, 1],
    )
    await blob.close()
  })

  it('may be empty', async () => {
    const { registry } = createWorld()
    const { id } = await registry.uploads.start(repo, by)
    const empty = sha256('')
    await assert.rejects(registry.uploads.close(repo, id, sha256('x'), undefined), { code: 'DIGEST_INVALID' })
    await registry.uploads.close(repo, id, empty, undefined)
    assert.equal(await readBlob(registry, repo, empty), '')
    assert.deepEqual(await registry.blobs.stat(repo, empty), { digest: empty, size: 0 })
  })

  it('is hashed as its session says, and read back for another algorithm', async () => {
    const { registry, keys } = createWorld()
    const sha512 = computeDigest('sha512', Buffer.from('abc'))
    for (const session of [{ ...by, algorithm: 'sha512' as const }, by]) {
      const { id } = await registry.uploads.start(repo, session)
      await registry.uploads.append(repo, id, chunkOf('abc'))
      await registry.uploads.close(repo, id, sha512, undefined)
    }
    assert.equal(await readBlob(registry, repo, sha512), 'abc')
    assert.equal((await keys('uploads/')).filter((key) => key.includes('/as-sha512-')).length, 1)
  })

  it('refuses a chunk that does not go on where it stands, and says where that is', async () => {
    const { registry } = createWorld()
    const { id } = await registry.uploads.start(repo, by)
    await registry.uploads.append(repo, id, chunkOf('abc'))
    for (const chunk of [chunkOf('x', 2), chunkOf('x', 4), chunkOf('x')]) {
      const append = registry.uploads.append(repo, id, chunk)
      await assert.rejects(append, (error) => error instanceof OutOfOrderError && error.offset === 3)
      const close = registry.uploads.close(repo, id, sha256('abcx'), chunk)
      await assert.rejects(close, (error) => error instanceof OutOfOrderError && error.offset === 3)
    }
    await registry.uploads.close(repo, id, sha256('abcd'), chunkOf('d', 3))
  })

  it('is as it was after a closing body with the wrong digest, the wrong length or a broken line', async () => {
    const { registry, keys } = createWorld()
    const { id } = await registry.uploads.start(repo, by)
    await registry.uploads.append(repo, id, chunkOf('abc'))
    const before = await keys()
    const wrong = registry.uploads.close(repo, id, sha256('abcd'), chunkOf('e', 3))
    await assert.rejects(wrong, { code: 'DIGEST_INVALID' })
    const short = { body: bodyOf('d'), range: { start: 3, end: 5 } }
    await assert.rejects(registry.uploads.close(repo, id, sha256('abcd'), short), { code: 'SIZE_INVALID' })
    await assert.rejects(registry.uploads.append(repo, id, short), { code: 'SIZE_INVALID' })
    const lost = { body: brokenBody('d'), range: { start: 3, end: 5 } }
    await assert.rejects(registry.uploads.close(repo, id, sha256('abcde'), lost), /went away/)
    assert.deepEqual(await keys(), before)
    await registry.uploads.close(repo, id, sha256('abcd'), chunkOf('d', 3))
  })

  it('keeps what came of a chunk whose sender went away', async () => {
    const { registry } = createWorld()
    const { id } = await registry.uploads.start(repo, by)
    const lost = { body: brokenBody('abc', 'def'), range: { start: 0, end: 100 } }
    await assert.rejects(registry.uploads.append(repo, id, lost), /went away/)
    assert.deepEqual(await registry.uploads.status(repo, id), { id, offset: 6 })
    await registry.uploads.close(repo, id, sha256('abcdefg'), chunkOf('g', 6))
  })

  it('lets exactly one of two bodies for the same place win; the other leaves nothing', async () => {
    const world = createWorld()
    const { registry, other, keys } = world
    const { id } = await registry.uploads.start(repo, by)
    world.intercept = async ({ method, key }) => {
      if (method !== 'write' || !/\/0{16}$/.test(key)) return
      world.intercept = undefined
      await other.uploads.append(repo, id, chunkOf('theirs'))
    }
    const ours = registry.uploads.append(repo, id, chunkOf('ours'))
    await assert.rejects(ours, (error) => error instanceof OutOfOrderError && error.offset === 6)
    assert.equal((await keys('data/')).length, 1)
    await registry.uploads.close(repo, id, sha256('theirs'), undefined)
  })

  it('is unknown after its end, after a cancel, to another repository and under a malformed id', async () => {
    const { registry } = createWorld()
    const closed = await registry.uploads.start(repo, by)
    await registry.uploads.close(repo, closed.id, sha256('abc'), chunkOf('abc'))
    const cancelled = await registry.uploads.start(repo, by)
    await registry.uploads.append(repo, cancelled.id, chunkOf('abc'))
    await registry.uploads.cancel(repo, cancelled.id)
    const open = await registry.uploads.start(elsewhere, by)
    for (const id of [closed.id, cancelled.id, open.id, 'x', '../../tags', open.id.toUpperCase()]) {
      const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' }
      await assert.rejects(registry.uploads.status(repo, id), unknown)
      await assert.rejects(registry.uploads.append(repo, id, chunkOf('x')), unknown)
      await assert.rejects(registry.uploads.close(repo, id, sha256('x'), chunkOf('x')), unknown)
      await assert.rejects(registry.uploads.cancel(repo, id), unknown)
    }
    assert.deepEqual(await registry.uploads.status(elsewhere, open.id), { id: open.id, offset: 0 })
  })

  it('takes so many chunks and no more', async () => {
    const { registry } = createWorld({ maxUploadChunks: 2 })
    const { id } = await registry.uploads.start(repo, by)
    await registry.uploads.append(repo, id, chunkOf('a', 0))
    await registry.uploads.append(repo, id, chunkOf('b', 1))
    await assert.rejects(registry.uploads.append(repo, id, chunkOf('c', 2)), { code: 'TOO_LARGE' })
    await registry.uploads.close(repo, id, sha256('ab'), undefined)
  })
})

describe('closing an upload', () => {
  it('is refused when its bytes go while they are read back', async () => {
    const world = createWorld()
    const { id } = await world.registry.uploads.start(repo, { by: 'test' })
    await world.registry.uploads.append(repo, id, chunkOf('ab'))
    const [segment = ''] = await world.keys(`data/${id}/`)
    world.intercept = async ({ method }) => {
      if (method === 'open') await world.driver.remove(segment)
    }
    // Of another algorithm than the running hash: the bytes are read back.
    const digest = computeDigest('sha512', Buffer.from('ab'))
    await assert.rejects(world.registry.uploads.close(repo, id, digest, undefined), { code: 'BLOB_UPLOAD_UNKNOWN' })
  })

  it('is refused when the upload was taken back, at whatever moment that happens', async () => {
    for (let step = 0; ; step++) {
      const world = createWorld()
      const { registry, other } = world
      const { id } = await registry.uploads.start(repo, by)
      let seen = 0
      world.intercept = async () => {
        if (seen++ === step) await other.uploads.cancel(repo, id).catch(() => undefined)
      }
      const outcome = await registry.uploads.close(repo, id, sha256('abc'), chunkOf('abc')).then(
        () => 'closed',
        (error: { code: string }) => error.code,
      )
      world.intercept = undefined
      if (seen <= step) break
      const head = await registry.blobs.stat(repo, sha256('abc')).then(
        () => 'closed',
        () => 'BLOB_UPLOAD_UNKNOWN',
      )
      assert.equal(head, outcome, `cancelled before driver call ${step}`)
    }
  })

  it('shares the bytes another repository has, and leaves its own to the sweep', async () => {
    const { registry, driver, keys } = createWorld()
    const digest = await pushBlob(registry, elsewhere, 'shared')
    const [theirs = ''] = await keys('data/')
    await pushBlob(registry, repo, 'shared')
    const links = await Promise.all((await keys('blobs/')).map((key) => driver.read(key)))
    assert.equal(links.length, 2)
    for (const link of links) assert.ok(link?.bytes.includes(theirs))
    assert.equal(await readBlob(registry, repo, digest), 'shared')
    assert.equal((await keys('garbage/')).length, 1)
    assert.ok((await keys('uploads/')).every((key) => !key.endsWith('/session')))
  })

  it('replaces a link whose bytes are condemned', async () => {
    const { registry, driver, keys } = createWorld()
    const digest = await pushBlob(registry, repo, 'abc')
    const [bytes = ''] = await keys('data/')
    await driver.write(`${bytes.slice(0, bytes.lastIndexOf('/'))}/!old`, Buffer.alloc(0))
    await assert.rejects(registry.blobs.stat(repo, digest), { code: 'BLOB_UNKNOWN' })
    await pushBlob(registry, repo, 'abc')
    assert.equal((await registry.blobs.stat(repo, digest)).size, 3)
  })

  it('leaves no blob behind when a whole blob has the wrong digest', async () => {
    const { registry, keys } = createWorld()
    const put = registry.uploads.put(repo, sha256('abc'), chunkOf('abd'), by)
    await assert.rejects(put, { code: 'DIGEST_INVALID' })
    assert.deepEqual(await keys('data/'), [])
    assert.deepEqual(await keys('uploads/'), [])
  })
})
