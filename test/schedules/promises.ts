/** The promises P1 to P4 held against the store, and what GETs answered. */
import assert from 'node:assert/strict'
import type { Digest } from '../../src/oci/digest.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { parseTag, type RepositoryName } from '../../src/oci/name.ts'
import * as layout from '../../src/registry/layout.ts'
import { isUntaggedKey } from '../../src/registry/layout-untagged.ts'
import { decodeLink, decodeManifest, decodeTag } from '../../src/registry/records.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { a, b, c, type Facts, isBlobThere, noLimits, type Pushed } from './facts.ts'
import { leaseMs, type Simulation } from './simulation.ts'

async function findManifests(store: Driver, repository: RepositoryName) {
  const found = []
  for await (const { key } of listAll(store, layout.manifestsPrefix(repository))) {
    const stored = await store.read(key)
    if (stored !== undefined) found.push(decodeManifest(stored.bytes))
  }
  return found
}

/** An immutable tag leads to the manifest that it led to first, unless somebody deleted that one. */
async function checkImmutableTags(
  { store, immutableTags }: Simulation,
  facts: Facts,
  repository: RepositoryName,
  there: ReadonlySet<Digest>,
): Promise<void> {
  for await (const { key } of listAll(store, layout.tagsPrefix(repository))) {
    const stored = await store.read(key)
    if (stored === undefined || immutableTags?.findRule(repository, layout.parseTagKey(key)) === undefined) continue
    const { digest } = decodeTag(stored.bytes)
    const seen = facts.seen.get(key) ?? digest
    const isDeleted = facts.deleted.some((each) => each.repository === repository && each.what === seen)
    assert.ok(seen === digest || isDeleted || !there.has(digest), `an immutable tag was moved: ${key}`)
    if (there.has(digest)) facts.seen.set(key, digest)
  }
}

/** P2 and P3 as they must hold after every single step. */
export async function checkStep(simulation: Simulation, facts: Facts): Promise<void> {
  const { store, clock } = simulation
  const isDeleted = (repository: RepositoryName, what: string): boolean =>
    facts.deleted.some((each) => each.repository === repository && each.what === what)
  for (const { answers, look } of facts.reads) answers.add(await look(store))
  assert.deepEqual(facts.violations, [])
  for (const repository of [a, b, c]) {
    const manifests = await findManifests(store, repository)
    const digests = new Set(manifests.map(({ digest }) => digest))
    for (const { digest, bytes, mediaType } of manifests) {
      const { blobs, manifests: entries } = parseManifest(bytes, mediaType, noLimits)
      for (const blob of blobs) {
        const isThere = isDeleted(repository, blob) || (await isBlobThere(store, repository, blob))
        assert.ok(isThere, `P2: manifest ${digest.slice(0, 14)} of ${repository} is readable, its blob is not`)
      }
      for (const entry of entries) {
        assert.ok(digests.has(entry), `P2: index ${digest.slice(0, 14)} of ${repository} is readable, its entry is not`)
      }
    }
    await checkImmutableTags(simulation, facts, repository, digests)
    for (const each of facts.pushed) {
      if (each.repository !== repository || isDeleted(repository, each.digest)) continue
      assert.ok(digests.has(each.digest), `P3: acknowledged manifest ${each.digest.slice(0, 14)} is gone`)
    }
  }
  for (const { repository, digest, since } of facts.told) {
    if (clock.now - since >= leaseMs / 2 || isDeleted(repository, digest)) continue
    assert.ok(await isBlobThere(store, repository, digest), `P3: ${repository} was told of a blob, and it is gone`)
  }
}

/** Tags once nobody is at work any more: an acknowledged tag leads to its manifest unless somebody moved or deleted it. */
export async function checkTags({ store, immutableTags }: Simulation, facts: Facts, kills: number): Promise<void> {
  for (const { repository, digest, tag } of facts.pushed) {
    const isElsewhere = (each: Pushed): boolean =>
      each.repository === repository && each.tag === tag && each.digest !== digest
    // A push that was refused did not move an immutable tag.
    const isImmutable = immutableTags?.findRule(repository, parseTag(tag)) !== undefined
    if ((isImmutable ? facts.pushed : facts.begun).some(isElsewhere)) continue
    const inRepository = facts.deleted.filter((each) => each.repository === repository)
    const deleted = new Set(inRepository.map(({ what }) => what))
    const stored = await store.read(layout.tagKey(repository, parseTag(tag)))
    const named = stored && decodeTag(stored.bytes).digest === digest
    const isThere = (await store.read(layout.manifestKey(repository, digest))) !== undefined
    if (!deleted.has(digest) && !deleted.has(`tag ${tag}`)) {
      assert.ok(named === true && isThere, `P3: tag ${tag} was acknowledged, and it is dead`)
    } else if (kills === 0 && !deleted.has(`tag ${tag}`) && facts.begun.every((each) => each.tag === tag)) {
      // A push and a DELETE at once may end either way, but both of them for the manifest and for its tag.
      assert.equal(named === true, isThere, `mixed outcome: manifest ${isThere}, tag ${tag} ${named === true}`)
    }
  }
}

async function hasBytes(store: Driver, id: string): Promise<boolean> {
  return (await store.list(layout.dataPrefix(id), { limit: 1 })).entries.length > 0
}

/** P4: after some quiet sweeps nothing is left but what is needed. */
export async function checkLeftovers(
  { store, clock, outside, removal }: Simulation,
  course: 'quiet' | 'disturbed',
): Promise<void> {
  for (let i = 0; i < 4; i++) {
    clock.now += leaseMs + 60_000
    await outside.sweep.all()
  }
  const keys: string[] = []
  for await (const { key } of listAll(store, '')) keys.push(key)
  const named = new Set<string>()
  for (const repository of [a, b, c]) {
    for (const { bytes, mediaType } of await findManifests(store, repository)) {
      for (const blob of parseManifest(bytes, mediaType, noLimits).blobs) named.add(layout.linkKey(blob, repository))
    }
  }
  const linked = new Set<string>()
  for (const key of keys.filter((each) => each.startsWith('blobs/'))) {
    const stored = await store.read(key)
    if (stored !== undefined) linked.add(decodeLink(stored.bytes).id)
  }
  const usedIds = new Set<string>()
  for (const key of named) {
    const stored = await store.read(key)
    if (stored !== undefined) usedIds.add(decodeLink(stored.bytes).id)
  }
  for (const key of keys) {
    assert.ok(!/^(?:uploads|pushes|garbage|scratch)\//.test(key), `P4: left for ever: ${key}`)
    if (key.startsWith('data/')) {
      const id = key.split('/')[1] ?? ''
      // What a killed or paused process wrote for bytes that were dead already is the scrub's.
      if (course === 'disturbed' && !linked.has(id)) continue
      assert.ok(linked.has(id), `P4: bytes that nobody links: ${key}`)
    }
    if (key.startsWith('blobs/') && !named.has(key)) {
      const stored = await store.read(key)
      // Left to the scrub where it cannot be removed exactly; that it leads nowhere is what must be.
      if (removal !== 'exact' && stored !== undefined && !(await hasBytes(store, decodeLink(stored.bytes).id))) continue
      // A link shares the fate of its bytes: it goes with them.
      assert.ok(stored !== undefined && usedIds.has(decodeLink(stored.bytes).id), `P4: unused link: ${key}`)
    }
    // So is a hint of a DELETE or push that slept for a lease, or was killed.
    if (key.startsWith('named/') && course === 'quiet') await checkHint(store, key)
    if (key.startsWith('tags/')) {
      const stored = await store.read(key)
      const [, segment = ''] = key.split('/')
      const manifest = stored && `manifests/${segment}/${decodeTag(stored.bytes).digest.replace(':', '-')}`
      assert.ok(manifest !== undefined && keys.includes(manifest), `P4: dead tag: ${key}`)
    }
  }
}

async function checkHint(store: Driver, key: string): Promise<void> {
  const hint = layout.parseHintKey(key)
  const [, segment = '', digest = ''] = key.split('/')
  if (isUntaggedKey(key)) {
    const manifest = await store.read(`manifests/${segment}/${digest}`)
    assert.ok(manifest !== undefined, `P4: a note was left: ${key}`)
    return
  }
  if (hint === undefined) {
    // A DELETE that was killed leaves its mark on an incarnation that is still there; it goes with that incarnation.
    const manifest = await store.read(`manifests/${segment}/${digest}`)
    const isMeant = manifest !== undefined && decodeManifest(manifest.bytes).push === layout.parseManifestMark(key)
    assert.ok(isMeant, `P4: a mark was left: ${key}`)
    return
  }
  const leads =
    hint.kind === 'tag'
      ? `tags/${segment}/${hint.tag.replace(/[A-Z]/g, (letter) => `^${letter.toLowerCase()}`)}`
      : `manifests/${segment}/${hint.digest.replace(':', '-')}`
  const stored = await store.read(leads)
  assert.ok(stored?.bytes.includes(digest.replace('-', ':')), `P4: a hint leads nowhere: ${key}`)
}
