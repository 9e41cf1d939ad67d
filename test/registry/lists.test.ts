import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseDigest } from '../../src/oci/digest.ts'
import { parseName, parseReference, parseTag } from '../../src/oci/name.ts'
import {
  createWorld,
  elsewhere,
  imageOf,
  ociIndex,
  ociManifest,
  pushBlob,
  pushImage,
  pushManifest,
  repo,
  sha256,
} from './harness.ts'

describe('the tag list', () => {
  it('is in ASCII order and pages behind any tag, also one that is not there', async () => {
    const { registry } = createWorld()
    const { bytes } = await pushImage(registry, repo, 'b')
    for (const tag of ['B', 'a', '_', '1.0', '1-0', 'Ba', 'bA']) await pushManifest(registry, repo, tag, bytes)
    const all = ['1-0', '1.0', 'B', 'Ba', '_', 'a', 'b', 'bA']
    assert.deepEqual(await registry.tags.list(repo, { limit: 100 }), { items: all, next: undefined })
    assert.deepEqual(await registry.tags.list(repo, { limit: 3 }), { items: all.slice(0, 3), next: 'B' })
    const last = parseTag('C')
    assert.deepEqual(await registry.tags.list(repo, { limit: 2, last }), { items: ['_', 'a'], next: 'a' })
    assert.deepEqual((await registry.tags.list(repo, { limit: 2, last: parseTag('bA') })).items, [])
  })

  it('of a repository without manifests is unknown, of one without tags empty', async () => {
    const { registry } = createWorld()
    await pushBlob(registry, repo, 'only a blob')
    await assert.rejects(registry.tags.list(repo, { limit: 1 }), { code: 'NAME_UNKNOWN' })
    const { digest } = await pushImage(registry, repo, 'v1')
    await registry.manifests.remove(repo, parseReference('v1'))
    assert.deepEqual((await registry.tags.list(repo, { limit: 1 })).items, [])
    await registry.manifests.remove(repo, parseReference(digest))
    await assert.rejects(registry.tags.list(repo, { limit: 1 }), { code: 'NAME_UNKNOWN' })
  })
})

describe('the catalog', () => {
  it('lists repositories that hold a manifest, in the order of their names', async () => {
    const { registry } = createWorld()
    const names = ['a', 'a-b', 'a.b', 'a/b', 'a/b/c', 'a0', 'a_b', 'b'].map(parseName)
    for (const name of names.toReversed()) await pushImage(registry, name, 'v1')
    await pushBlob(registry, parseName('aa'), 'only a blob')
    const ordered = names.toSorted()
    assert.deepEqual(await registry.catalog.list({ limit: 100 }), { items: ordered, next: undefined })
    const pages = []
    for (let last; ;) {
      const page = await registry.catalog.list({ limit: 3, last })
      pages.push(...page.items)
      if (page.next === undefined) break
      last = page.next
    }
    assert.deepEqual(pages, ordered)
  })
})

describe('the referrers of a manifest', () => {
  it('are its referrers that are there, each once, with what they say of themselves', async () => {
    const { registry, other } = createWorld()
    const subject = await pushImage(registry, repo, 'v1')
    const names = { subject: { mediaType: ociManifest, digest: subject.digest, size: subject.bytes.length } }
    const annotations = { 'org.example': 'x', __proto__x: 'y' }
    const signed = await pushImage(registry, repo, 's', ['sig'], { ...names, artifactType: 'app/sig', annotations })
    const plain = await pushImage(registry, repo, 'p', ['sbom'], names)
    await pushImage(other, repo, 'p2', ['sbom'], names)
    const gone = await pushImage(registry, repo, 'g', ['gone'], names)
    await registry.manifests.remove(repo, parseReference(gone.digest))
    const expected = [
      {
        mediaType: ociManifest,
        digest: signed.digest,
        size: signed.bytes.length,
        artifactType: 'app/sig',
        annotations,
      },
      {
        mediaType: ociManifest,
        digest: plain.digest,
        size: plain.bytes.length,
        artifactType: 'application/vnd.oci.image.config.v1+json',
      },
    ].toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
    for (const each of [registry, other, registry]) {
      assert.deepEqual((await each.referrers.list(repo, subject.digest, { limit: 10 })).items, expected)
    }
    const { items } = await registry.referrers.list(repo, subject.digest, { limit: 10, artifactType: 'app/sig' })
    assert.deepEqual(
      items.map(({ digest }) => digest),
      [signed.digest],
    )
    assert.deepEqual((await registry.referrers.list(elsewhere, subject.digest, { limit: 10 })).items, [])
  })

  it('come in pages, together with those of the fallback tag', async () => {
    const { registry } = createWorld()
    const subject = await pushImage(registry, repo, 'v1')
    const names = { subject: { mediaType: ociManifest, digest: subject.digest, size: subject.bytes.length } }
    const digests: string[] = []
    for (const name of ['a', 'b', 'c']) digests.push((await pushImage(registry, repo, name, [name], names)).digest)
    const old: Awaited<ReturnType<typeof pushImage>>[] = []
    for (const name of ['d', 'e']) old.push(await pushImage(registry, repo, name, [name]))
    const entry = ({ digest, bytes }: (typeof old)[number]): object => ({
      mediaType: ociManifest,
      digest,
      size: bytes.length,
    })
    const manifests = [...old, ...old].map(entry)
    const fallback = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }))
    await pushManifest(registry, repo, subject.digest.replace(':', '-'), fallback)
    const expected = [...digests, ...old.map(({ digest }) => digest)].toSorted()
    for (const limit of [1, 2, 3, 5, 9]) {
      const found: string[] = []
      for (let last; ;) {
        const page = await registry.referrers.list(repo, subject.digest, { limit, last })
        assert.ok(page.items.length <= limit)
        found.push(...page.items.map(({ digest }) => digest))
        if (page.next === undefined) break
        last = page.next
      }
      assert.deepEqual(found, expected, `pages of ${limit}`)
    }
  })

  it('show the media type that the manifest has in this repository', async () => {
    const { registry } = createWorld()
    const subject = await pushImage(registry, repo, 'v1')
    const names = { subject: { mediaType: ociManifest, digest: subject.digest, size: subject.bytes.length } }
    const docker = 'application/vnd.docker.distribution.manifest.v2+json'
    const bytes = imageOf('config', [], { ...names, mediaType: undefined })
    const put = (mediaType: string) =>
      registry.manifests.put(repo, { reference: parseReference('s'), tags: [], mediaType, bytes, by: 'test' })
    const types: string[] = []
    for (const mediaType of [ociManifest, docker]) {
      await put(mediaType)
      types.push((await registry.manifests.get(repo, parseReference('s'))).mediaType)
      const { items } = await registry.referrers.list(repo, subject.digest, { limit: 10 })
      types.push(...items.map((each) => each.mediaType))
    }
    assert.deepEqual(types, [ociManifest, ociManifest, docker, docker])
  })

  it('of an unknown manifest are none', async () => {
    const { registry } = createWorld()
    assert.deepEqual(await registry.referrers.list(repo, sha256('x'), { limit: 1 }), { items: [] })
    const sha512 = parseDigest(`sha512:${'0'.repeat(128)}`)
    assert.deepEqual(await registry.referrers.list(repo, sha512, { limit: 1 }), { items: [] })
  })
})
