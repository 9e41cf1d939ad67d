/** What clients were told in a schedule, and the promises P1 to P4 held against the store. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { computeDigest, type Digest, isDigest } from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'
import { parseName, parseReference, parseTag, type RepositoryName, type Tag } from '../../src/oci/name.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import * as layout from '../../src/registry/layout.ts'
import { isUntaggedKey } from '../../src/registry/layout-untagged.ts'
import { decodeLink, decodeManifest, decodeTag } from '../../src/registry/records.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { leaseMs, type Process, type Simulation } from './simulation.ts'

export const a = parseName('a')
export const b = parseName('b')
export const c = parseName('c')

const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const ociIndex = 'application/vnd.oci.image.index.v1+json'
const noLimits = { maxDepth: 100, maxReferences: 100 }

export function digestOf(text: string | Buffer): Digest {
  return computeDigest('sha256', Buffer.from(text))
}

/** Of a blob, by its text or by a digest of it. */
function blobDigestOf(blob: string): Digest {
  return isDigest(blob) ? blob : digestOf(blob)
}

/** A manifest whose only blob is `blob`, which is short; `name` makes it another one. */
export function imageOf(blob: string, name: string): Buffer {
  const size = isDigest(blob) ? 1 : blob.length
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: blobDigestOf(blob), size }
  return Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: [], annotations: { name } }),
  )
}

export function indexOf(...manifests: readonly Buffer[]): Buffer {
  const entries = manifests.map((bytes) => ({ mediaType: ociManifest, digest: digestOf(bytes), size: bytes.length }))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: entries }))
}

interface Told {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** When the request began, by the store's clock. */
  readonly since: number
}

interface Pushed {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly tag: string
}

/** What happened, as the clients know it. A delete counts from its start, a push from its answer. */
export interface Facts {
  readonly told: Told[]
  readonly pushed: Pushed[]
  /** Pushes that were begun: they may move a tag without an answer. */
  readonly begun: Pushed[]
  readonly deleted: { readonly repository: RepositoryName; readonly what: string }[]
  readonly violations: string[]
  /** What an immutable tag, by its key, has led to. */
  readonly seen: Map<string, Digest>
  readonly reads: Set<Read>
}

/** A GET under way: what it may answer, and how to see what it might answer now. */
interface Read {
  readonly answers: Set<string>
  readonly look: (store: Driver) => Promise<string>
}

export function createFacts(): Facts {
  return { told: [], pushed: [], begun: [], deleted: [], violations: [], seen: new Map(), reads: new Set() }
}

/** Refusals are answers; anything else is a defect and ends the schedule. */
async function answer<T>(work: Promise<T>): Promise<T | OciError> {
  try {
    return await work
  } catch (error) {
    if (error instanceof OciError) return error
    throw error
  }
}

/** What a GET answers must have been so at a moment while it was under way. */
async function watchRead(
  { peek }: Process,
  facts: Facts,
  look: Read['look'],
  get: () => Promise<string>,
): Promise<void> {
  const read: Read = { answers: new Set(), look }
  await peek(async (store) => {
    read.answers.add(await look(store))
    facts.reads.add(read)
  })
  const answered = await answer(get())
  facts.reads.delete(read)
  const isUnknown = answered instanceof OciError && answered.code.endsWith('_UNKNOWN')
  const told = isUnknown ? 'gone' : answered instanceof OciError ? answered.code : answered
  if (!read.answers.has(told)) {
    facts.violations.push(`a GET says ${told}, and all the while it was ${[...read.answers].join(' or ')}`)
  }
}

/** The operations of a client: they record what was answered. */
export function createClient(process: Process, facts: Facts) {
  const { registry, now } = process
  const isDeleted = (repository: RepositoryName, what: string): boolean =>
    facts.deleted.some((each) => each.repository === repository && each.what === what)
  const tell = (repository: RepositoryName, digest: Digest, since: number): void =>
    void facts.told.push({ repository, digest, since })
  const by = { by: 'client' }
  return {
    async head(repository: RepositoryName, blob: string) {
      const since = now()
      const told = await answer(registry.blobs.stat(repository, digestOf(blob)))
      if (!(told instanceof OciError)) tell(repository, digestOf(blob), since)
    },
    async get(repository: RepositoryName, blob: string) {
      const digest = digestOf(blob)
      const look: Read['look'] = async (store) => ((await isBlobThere(store, repository, digest)) ? 'there' : 'gone')
      await watchRead(process, facts, look, async () => {
        const opened = await registry.blobs.open(repository, digest, (size) => [{ start: 0, end: size }])
        await opened.close()
        return 'there'
      })
    },
    async getTag(repository: RepositoryName, tag: string) {
      const look: Read['look'] = async (store) => (await findTagged(store, repository, parseTag(tag))) ?? 'gone'
      const get = async (): Promise<string> => (await registry.manifests.get(repository, parseReference(tag))).digest
      await watchRead(process, facts, look, get)
    },
    async upload(repository: RepositoryName, blob: string) {
      const since = now()
      const chunk = { body: Readable.from([Buffer.from(blob)]), length: blob.length }
      const told = await answer(registry.uploads.put(repository, digestOf(blob), chunk, by))
      if (!(told instanceof OciError)) tell(repository, digestOf(blob), since)
    },
    async close(repository: RepositoryName, id: string, blob: string) {
      const since = now()
      const told = await answer(registry.uploads.close(repository, id, digestOf(blob), undefined))
      if (!(told instanceof OciError)) tell(repository, digestOf(blob), since)
    },
    async cancel(repository: RepositoryName, id: string) {
      await answer(registry.uploads.cancel(repository, id))
    },
    /** Without `from`: from any repository. */
    async mount(repository: RepositoryName, blob: string, from?: RepositoryName) {
      const since = now()
      const digest = blobDigestOf(blob)
      const source = { ...(from && { from }), mayPull: () => true }
      const told = await answer(registry.blobs.mount(repository, digest, source))
      if (told === true) tell(repository, digest, since)
    },
    async push(repository: RepositoryName, bytes: Buffer, tag: string) {
      const promised = [...facts.told]
      const digest = digestOf(bytes)
      facts.begun.push({ repository, digest, tag })
      const reference = parseReference(tag)
      const told = await answer(registry.manifests.put(repository, { reference, tags: [], bytes, by: 'client' }))
      if (!(told instanceof OciError)) facts.pushed.push({ repository, digest, tag })
      else if (told.code === 'MANIFEST_BLOB_UNKNOWN') {
        const { blobs } = parseManifest(bytes, undefined, noLimits)
        for (const each of promised) {
          const isHeld = each.repository === repository && blobs.includes(each.digest)
          if (isHeld && now() - each.since < leaseMs / 2 && !isDeleted(repository, each.digest)) {
            facts.violations.push(`P3: a push was refused although ${each.digest.slice(0, 14)} was promised`)
          }
        }
      }
    },
    async remove(repository: RepositoryName, what: Buffer | string) {
      const reference = parseReference(typeof what === 'string' ? what : digestOf(what))
      const name = typeof what === 'string' ? `tag ${what}` : digestOf(what)
      facts.deleted.push({ repository, what: name })
      const told = await answer(registry.manifests.remove(repository, reference))
      // Refused while an index or an immutable tag names it: nothing was deleted.
      if (told instanceof OciError && (told.code === 'UNSUPPORTED' || told.code === 'DENIED')) {
        facts.deleted.splice(
          facts.deleted.findIndex((each) => each.what === name),
          1,
        )
      }
    },
    async removeBlob(repository: RepositoryName, blob: string) {
      facts.deleted.push({ repository, what: blobDigestOf(blob) })
      await answer(registry.blobs.remove(repository, blobDigestOf(blob)))
    },
  }
}

async function isBlobThere(store: Driver, repository: RepositoryName, digest: Digest): Promise<boolean> {
  const link = await store.read(layout.linkKey(digest, repository))
  if (link === undefined) return false
  for (const { key } of decodeLink(link.bytes).segments) if ((await store.stat(key)) === undefined) return false
  return true
}

/** The manifest that a tag leads to, if it is there. */
async function findTagged(store: Driver, repository: RepositoryName, tag: Tag): Promise<Digest | undefined> {
  const stored = await store.read(layout.tagKey(repository, tag))
  if (stored === undefined) return undefined
  const { digest } = decodeTag(stored.bytes)
  return (await store.stat(layout.manifestKey(repository, digest))) === undefined ? undefined : digest
}

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
