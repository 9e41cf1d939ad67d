import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { computeDigest } from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'
import { type ParsedManifest, parseManifest } from '../../src/oci/manifest.ts'
import {
  dockerList,
  dockerManifest,
  kindOf,
  manifestMediaTypes,
  ociIndex,
  ociManifest,
} from '../../src/oci/media-types.ts'

const limits = { maxDepth: 64, maxReferences: 100 }
const digests = ['a', 'b', 'c', 'd'].map((text) => computeDigest('sha256', Buffer.from(text)))
const describeBlob = (i: number, mediaType = 'application/octet-stream') => ({ mediaType, digest: digests[i], size: 1 })
const image = (changes: object = {}): object => ({ schemaVersion: 2, config: describeBlob(0), layers: [], ...changes })
const parse = (value: unknown, announced?: string): ParsedManifest =>
  parseManifest(Buffer.from(JSON.stringify(value)), announced, limits)

const isInvalid = (error: unknown): boolean => error instanceof OciError && error.code === 'MANIFEST_INVALID'

describe('what a manifest names', () => {
  test('an image: its config and its layers, each once; without an artifactType it has that of its config', () => {
    const parsed = parse(image({ layers: [describeBlob(1), describeBlob(2), describeBlob(1)] }), ociManifest)
    assert.deepEqual(parsed, {
      kind: 'manifest',
      mediaType: ociManifest,
      blobs: digests.slice(0, 3),
      manifests: [],
      artifactType: 'application/octet-stream',
    })
  })

  test('foreign layers need not be there', () => {
    const foreign = describeBlob(1, 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip')
    const layers = [foreign, { ...describeBlob(2), urls: ['https://example.com'] }, { ...describeBlob(3), urls: [] }]
    assert.deepEqual(parse(image({ layers }), ociManifest).blobs, [digests[0], digests[3]])
  })

  test('an index: manifests, and the blobs that BuildKit puts there', () => {
    const manifests = [describeBlob(0, ociManifest), describeBlob(1, 'application/vnd.buildkit.cacheconfig.v0')]
    const parsed = parse({ schemaVersion: 2, manifests }, ociIndex)
    assert.deepEqual([parsed.kind, parsed.manifests, parsed.blobs], ['index', [digests[0]], [digests[1]]])
  })

  test('the subject, annotations (also one called __proto__) and artifactType', () => {
    const text = `{"schemaVersion":2,"artifactType":"a/b","subject":${JSON.stringify(describeBlob(1))},"annotations":{"__proto__":"x"},
      "config":${JSON.stringify(describeBlob(0))},"layers":[]}`
    const parsed = parseManifest(Buffer.from(text), ociManifest, limits)
    assert.deepEqual([parsed.subject, parsed.artifactType], [digests[1], 'a/b'])
    assert.deepEqual(Object.entries(parsed.annotations ?? {}), [['__proto__', 'x']])
  })
})

describe('the media type of a manifest', () => {
  for (const mediaType of manifestMediaTypes) {
    const body = kindOf(mediaType) === 'index' ? { schemaVersion: 2, manifests: [] } : image()
    test(`${mediaType}: announced, stated, or both`, () => {
      assert.equal(parse(body, mediaType).mediaType, mediaType)
      assert.equal(parse({ ...body, mediaType }).mediaType, mediaType)
      assert.equal(parse({ ...body, mediaType }, mediaType).mediaType, mediaType)
    })
  }

  test('without any, the shape tells', () => {
    assert.equal(parse(image()).mediaType, ociManifest)
    assert.equal(parse({ schemaVersion: 2, manifests: [] }).mediaType, ociIndex)
  })

  for (const [name, value, announced] of [
    ['two that differ', image({ mediaType: ociManifest }), dockerManifest],
    ['one that is none', image(), 'application/json'],
    ['an index that has layers', { ...image(), manifests: [] }, ociIndex],
    ['an image that has manifests', { ...image(), manifests: [] }, ociManifest],
    ['Docker without schemaVersion', { manifests: [] }, dockerList],
    ['schemaVersion 1', image({ schemaVersion: 1 }), ociManifest],
  ] as const) {
    test(`refused: ${name}`, () => assert.throws(() => parse(value, announced), isInvalid))
  }
})

describe('limits of a manifest', () => {
  const nest = (depth: number): Buffer => {
    const text = JSON.stringify(image()).slice(0, -1)
    return Buffer.from(`${text},"x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`)
  }
  test('nesting', () => {
    assert.equal(parseManifest(nest(64), ociManifest, limits).kind, 'manifest')
    assert.throws(() => parseManifest(nest(65), ociManifest, limits), isInvalid)
    assert.throws(() => parseManifest(Buffer.from('['.repeat(4_000_000)), ociManifest, limits), isInvalid)
  })

  test('brackets in texts do not nest', () => {
    const annotations = { a: '['.repeat(500), b: '\\"[{'.repeat(100) }
    assert.equal(parse(image({ annotations }), ociManifest).kind, 'manifest')
  })

  test('references', () => {
    const layers = Array.from({ length: 101 }, () => describeBlob(1))
    assert.equal(parse(image({ layers: layers.slice(1) }), ociManifest).blobs.length, 2)
    assert.throws(() => parse(image({ layers }), ociManifest), isInvalid)
  })
})

test('whatever the bytes, a manifest is parsed or MANIFEST_INVALID', () => {
  const field = fc.constantFrom(
    'schemaVersion',
    'mediaType',
    'config',
    'layers',
    'manifests',
    'subject',
    'annotations',
    'artifactType',
  )
  const near = fc.oneof(
    fc.constant(2),
    fc.constant([]),
    fc.constant(describeBlob(0)),
    fc.constant([describeBlob(1)]),
    fc.jsonValue(),
  )
  const object = fc.dictionary(field, near).map((value) => Buffer.from(JSON.stringify(value)))
  const bytes = fc.oneof(
    fc.uint8Array(),
    fc.json().map((text) => Buffer.from(text)),
    object,
  )
  fc.assert(
    fc.property(
      bytes,
      fc.option(fc.constantFrom(...manifestMediaTypes, 'x'), { nil: undefined }),
      (body, announced) => {
        try {
          const parsed = parseManifest(body, announced, limits)
          assert.equal(kindOf(parsed.mediaType), parsed.kind)
        } catch (error) {
          assert.ok(isInvalid(error), String(error))
        }
      },
    ),
    { numRuns: 1000 },
  )
})
