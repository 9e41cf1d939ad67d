import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import { parseReference } from '../../src/oci/name.ts'
import * as layout from '../../src/registry/layout.ts'
import { createIdFilter } from '../../src/registry/scrub/id-filter.ts'
import { createPace } from '../../src/registry/scrub/pace.ts'
import {
  chunkOf,
  createWorld,
  hour,
  imageOf,
  pushBlob,
  pushImage,
  pushManifest,
  readBlob,
  repo,
  sha256,
  type World,
} from './harness.ts'
import { damage, flip, linkOf, scrub, settle } from './scrub-harness.ts'

async function damageBlob(world: World, text: string): Promise<void> {
  const { segments } = await linkOf(world, repo, sha256(text))
  await damage(world, segments[0]?.key ?? '', flip)
}

describe('a run of the scrub', () => {
  it('stops when it is told to, and a later one goes on where it was', async () => {
    const world = createWorld()
    const texts = Array.from({ length: 300 }, (_, i) => `blob ${i}`)
    for (const text of texts) await pushBlob(world.registry, repo, text)
    for (const text of texts) await damageBlob(world, text)
    const stop = new AbortController()
    let position = ''
    const signal = stop.signal
    const report = (_what: string, _fraction: number, at: string): void => {
      position = at
      if (at.startsWith('blobs/sha256/8')) stop.abort()
    }
    await assert.rejects(scrub(world, 'look', { signal, report }), { name: 'AbortError' })
    assert.match(position, /^blobs\/sha256\/8/)
    const rest = await scrub(world, 'look', { from: position })
    assert.ok(rest.findings.length > 100 && rest.findings.length < 200, `${rest.findings.length} of 300`)
    const behind = texts.map(sha256).filter((digest) => layout.linksPrefix(digest) > position)
    const found = rest.findings.map(({ digest }) => digest)
    assert.deepEqual(new Set(found), new Set(behind))
  })

  it('from a position in the middle still knows which bytes are linked', async () => {
    const world = createWorld()
    await pushImage(world.registry, repo, 'v1')
    await settle(world)
    assert.deepEqual((await scrub(world, 'repair', { from: 'data/' })).told, [])
    await world.driver.write(layout.segmentKey('dead', 0, 'x'), Buffer.from('bytes'))
    world.clock.now += 25 * hour
    assert.deepEqual((await scrub(world, 'repair', { from: 'data/' })).told, ['orphan: repaired'])
    assert.equal(await readBlob(world.registry, repo, sha256('layer')), 'layer')
  })

  it('reports positions in order, and fractions from 0 to 1', async () => {
    const world = createWorld()
    for (let i = 0; i < 10; i++) await pushImage(world.registry, repo, `v${i}`, [`layer ${i}`])
    const seen: string[] = []
    const phases = new Set<string>()
    await scrub(world, 'look', {
      report: (what, fraction, position) => {
        phases.add(what)
        seen.push(position)
        assert.ok(fraction >= 0 && fraction <= 1)
      },
    })
    assert.deepEqual(seen, [...seen].sort())
    assert.equal(phases.size, 9)
  })

  it('reads no faster than it is told to', async () => {
    const world = createWorld()
    await pushBlob(world.registry, repo, 'x'.repeat(1000))
    await scrub(world, 'look', { bytesPerSecond: 100 })
    assert.deepEqual(world.slept, [10_000])
  })

  it('leaves its marks nowhere when it is stopped', async () => {
    const world = createWorld()
    await pushImage(world.registry, repo, 'v1')
    await settle(world)
    await world.driver.write(layout.segmentKey('dead', 0, 'x'), Buffer.from('bytes'))
    world.clock.now += 25 * hour
    const before = await world.keys()
    const stop = new AbortController()
    world.intercept = ({ method, key }) => {
      if (method === 'write' && key.startsWith('data/dead/!')) stop.abort()
    }
    await assert.rejects(scrub(world, 'repair', { signal: stop.signal }))
    assert.deepEqual(await world.keys(), before)
  })

  it('touches nothing of uploads and pushes in flight', async () => {
    const world = createWorld()
    const { id } = await world.registry.uploads.start(repo, { by: 'test' })
    await world.registry.uploads.append(repo, id, chunkOf('half'))
    for (const text of ['config', 'layer']) await pushBlob(world.registry, repo, text)
    let told: readonly string[] = []
    // In the middle of the push, and of the answer to a HEAD, a scrub repairs what it can.
    world.intercept = async ({ method, key }) => {
      if (method !== 'promote' || !/^(manifests|tags)\//.test(key)) return
      world.intercept = undefined
      const before = await world.keys()
      told = (await scrub(world, 'delete damaged')).told
      assert.deepEqual(await world.keys(), before)
    }
    await pushManifest(world.registry, repo, 'v1', imageOf('config', ['layer']))
    assert.deepEqual(told, [])
    assert.equal((await world.registry.uploads.status(repo, id)).offset, 4)
    assert.equal(
      (await world.registry.manifests.get(repo, parseReference('v1'))).digest,
      sha256(imageOf('config', ['layer'])),
    )
  })

  it('lets a link go that was written while the bytes were looked for', async () => {
    const world = createWorld()
    await pushImage(world.registry, repo, 'v1')
    await settle(world)
    const { id, segments } = await linkOf(world, repo, sha256('layer'))
    const link = await world.driver.read(layout.linkKey(sha256('layer'), repo))
    assert.ok(link !== undefined)
    await world.driver.remove(layout.linkKey(sha256('layer'), repo))
    // The first walk is over when the bytes are listed; a mount that slept writes its link now.
    world.intercept = async ({ method, key }) => {
      if (method === 'write' && key.startsWith(`data/${id}/!`))
        await world.driver.write(layout.linkKey(sha256('layer'), repo), link.bytes)
    }
    assert.deepEqual((await scrub(world, 'repair')).told, [])
    assert.deepEqual(
      (await world.keys(`data/${id}/`)).filter((key) => !layout.isAboutData(key)),
      segments.map(({ key }) => key),
    )
  })
})

describe('the pace', () => {
  it('is the bytes over the rate, without making up for time that went elsewhere', async () => {
    let now = 0
    const pace = createPace(
      1000,
      () => now,
      async (ms) => void (now += ms),
    )
    await pace(500, {})
    assert.equal(now, 500)
    now = 10_000
    await pace(1, {})
    await pace(8, {})
    assert.equal(now, 10_000, 'short waits are saved up')
    await pace(91, {})
    assert.equal(now, 10_100)
  })
})

describe('the filter of ids', () => {
  it('never forgets one, and mistakes few', () => {
    const filter = createIdFilter('seed', 2048)
    const idOf = (n: number): string => computeDigest('sha256', Buffer.from(String(n)))
    for (let n = 0; n < 1000; n++) filter.add(idOf(n))
    for (let n = 0; n < 1000; n++) assert.ok(filter.mayHave(idOf(n)))
    const mistaken = Array.from({ length: 1000 }, (_, n) => filter.mayHave(idOf(n + 1000))).filter(Boolean).length
    assert.ok(mistaken < 30, `${mistaken} of 1000`)
  })
})
