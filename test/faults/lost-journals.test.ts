/** Journals are not synced: after power loss they may be there and empty. A sweep goes on past them, and takes nothing that is needed. */
import assert from 'node:assert/strict'
import { after, before as beforeAll, describe as suite, it } from 'node:test'
import { parseReference } from '../../src/oci/name.ts'
import { chunkOf, hour, imageOf, pushBlob, pushManifest, repo, sha256 } from '../registry/harness.ts'
import { claimKey, linkedAsKey, parseClaimKey, segmentKey, sessionKey } from '../../src/registry/layout.ts'
import { encodeRecord } from '../../src/registry/records.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { createFaultyDriver } from './faulty-driver.ts'
import { prepare, texts } from './operations.ts'
import { createWorlds, describe, type World, writeBytes } from './world.ts'

/** What no manifest names may go. */
const named = [...texts.filter((text) => text !== 'lone'), 'abc']

const isClaim = (key: string): boolean => parseClaimKey(key) !== undefined

const session = encodeRecord({ repository: repo, algorithm: 'sha256', at: 0, by: 'test' })

suite('power loss', () => {
  let worlds: Awaited<ReturnType<typeof createWorlds>>
  beforeAll(async () => {
    worlds = await createWorlds('memory')
  })
  after(() => worlds.remove())

  async function keysOf(world: World, prefix: string): Promise<string[]> {
    const keys: string[] = []
    for await (const { key } of listAll(world.driver, prefix)) keys.push(key)
    return keys
  }

  /** An image whose layer came in three chunks, the last place twice: what lost the race was left by a kill. Returns the upload. */
  async function pushChunks(world: World): Promise<string> {
    const { registry } = world.start()
    const { id } = await registry.uploads.start(repo, { by: 'test' })
    await registry.uploads.append(repo, id, chunkOf('a'))
    await registry.uploads.append(repo, id, chunkOf('b', 1))
    await writeBytes(world, segmentKey(id, 1, 'loser'), 'x')
    await registry.uploads.close(repo, id, sha256('abc'), chunkOf('c', 2))
    await pushManifest(registry, repo, 'chunks', imageOf('config', ['abc']))
    return id
  }

  it('goes on past push entries and claims that are empty', async () => {
    const world = await worlds.create()
    await prepare(world)
    const { driver, death } = createFaultyDriver(world.driver, { at: 9, how: 'dies' })
    await Promise.race([pushManifest(world.start(driver).registry, repo, 'cut', imageOf('config', ['lone'])), death])
    const entries = await keysOf(world, 'pushes/')
    assert.ok(entries.length > 0)
    const claim = (await keysOf(world, 'uploads/')).find(isClaim) ?? ''
    for (const key of [...entries, claim]) await world.driver.write(key, Buffer.alloc(0))
    const { uploads } = world.start().registry
    const { id } = await uploads.start(repo, { by: 'test' })
    await uploads.append(repo, id, chunkOf('a'))
    const before = await describe(world, named, new Set())
    for (let i = 0; i < 2; i++) {
      world.advance(25 * hour)
      await world.start().sweep.run('sweep')
    }
    assert.deepEqual(await describe(world, named, new Set()), before)
    assert.deepEqual(await keysOf(world, 'pushes/'), [])
    assert.deepEqual(await keysOf(world, `uploads/${id}/`), [], 'an upload that was abandoned is ended')
    assert.deepEqual(await keysOf(world, 'uploads/'), [claim], 'what cannot be read is for the scrub')
  })

  it('takes nothing that is needed, whichever claims of it are gone', async () => {
    const kept = await worlds.create()
    await prepare(kept)
    await pushChunks(kept)
    const claims = (await keysOf(kept, 'uploads/')).filter(isClaim)
    for (let lost = 0; lost <= claims.length; lost++) {
      const world = await worlds.create()
      await prepare(world)
      const id = await pushChunks(world)
      const before = await describe(world, named, new Set())
      // Ids are random: the claims of the upload in chunks come last, so that each of them is lost alone, too.
      const own = (await keysOf(world, `uploads/${id}/`)).filter(isClaim)
      const all = (await keysOf(world, 'uploads/')).filter(isClaim)
      const chosen = lost < own.length ? own.slice(lost, lost + 1) : all.slice(0, lost + 1 - own.length).concat(own)
      for (const key of chosen) await world.driver.remove(key)
      // The session survived: the sweep finds an upload that seems to have been abandoned.
      await world.driver.write(`uploads/${id}/session`, session)
      for (let i = 0; i < 3; i++) {
        world.advance(25 * hour)
        await world.start().sweep.run('sweep')
      }
      assert.deepEqual(await describe(world, named, new Set()), before, chosen.join(' '))
      assert.deepEqual(await keysOf(world, 'uploads/'), [])
    }
  })

  it('frees bytes that never had a claim', async () => {
    const world = await worlds.create()
    await prepare(world)
    const { uploads } = world.start().registry
    const { id } = await uploads.start(repo, { by: 'test' })
    await uploads.append(repo, id, chunkOf('a'))
    await world.driver.remove(claimKey(id, 0))
    const before = await describe(world, named, new Set())
    world.advance(25 * hour)
    await world.start().sweep.run('sweep')
    assert.deepEqual(await describe(world, named, new Set()), before)
    assert.deepEqual(await keysOf(world, `data/${id}/`), [])
    assert.deepEqual(await keysOf(world, `uploads/${id}/`), [])
  })

  it('is the end of an upload whose records are torn or lost, and its client begins anew', async () => {
    const world = await worlds.create()
    const { uploads } = world.start().registry
    const begin = async (...chunks: string[]): Promise<string> => {
      const { id } = await uploads.start(repo, { by: 'test' })
      for (const [i, text] of chunks.entries()) await uploads.append(repo, id, chunkOf(text, i))
      return id
    }
    const refused = { code: 'BLOB_UPLOAD_UNKNOWN' }
    const [tornSession, tornClaim, lostClaim] = [await begin(), await begin('a', 'b'), await begin('a', 'b')]
    await world.driver.write(sessionKey(tornSession), Buffer.alloc(0))
    await world.driver.write(claimKey(tornClaim, 1), Buffer.from('{"repository":"te'))
    await world.driver.remove(claimKey(lostClaim, 0))
    const after = world.start().registry.uploads
    for (const id of [tornSession, tornClaim]) {
      await assert.rejects(after.status(repo, id), refused)
      await assert.rejects(after.append(repo, id, chunkOf('c')), refused)
    }
    for (const id of [tornSession, tornClaim, lostClaim]) {
      await assert.rejects(after.close(repo, id, sha256('ab'), undefined), refused)
    }
  })

  it('leaves bytes alone that may be too many things, reads them once, and frees them when the scrub has told what they are', async () => {
    const world = await worlds.create()
    const { registry } = world.start()
    const text = 'abcdef'
    const { id } = await registry.uploads.start(repo, { by: 'test' })
    for (const [i, letter] of text.split('').entries()) {
      await registry.uploads.append(repo, id, chunkOf(letter, i))
      await writeBytes(world, segmentKey(id, i, 'loser'), 'x')
    }
    await registry.uploads.close(repo, id, sha256(text), undefined)
    await pushBlob(registry, repo, 'config')
    const digest = await pushManifest(registry, repo, 'v1', imageOf('config', [text]))
    for (const key of await keysOf(world, `uploads/${id}/`)) await world.driver.remove(key)
    await registry.manifests.remove(repo, parseReference(digest))

    let opened = 0
    const open: Driver['open'] = (...args) => {
      opened++
      return world.driver.open(...args)
    }
    const { sweep } = world.start({ ...world.driver, open })
    for (let i = 0; i < 3; i++) {
      world.advance(7 * hour)
      await sweep.run('sweep')
    }
    assert.ok(opened > 0 && opened <= 24, `${opened} segments read`)
    assert.ok((await keysOf(world, `data/${id}/`)).length >= 12, 'they may be needed')

    world.advance(25 * hour)
    const told: string[] = []
    await world
      .start()
      .scrub.run('repair', { onFinding: ({ kind, outcome, key }) => told.push(`${kind} ${outcome} ${key}`) })
    assert.deepEqual(told, [`unreadable repaired ${linkedAsKey(id)}`])
    await world.start().sweep.run('sweep')
    assert.deepEqual(await keysOf(world, `data/${id}/`), [])
    assert.deepEqual(await keysOf(world, 'garbage/'), [])
  })
})
