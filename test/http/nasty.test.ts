/**
 * Requests that no honest client sends, well-formed as HTTP: each gets a clear OCI error, changes nothing, and leaves a server that answers at
 * once. What is not even HTTP is in `nasty-wire.test.ts`.
 */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import type { ErrorCode } from '../../src/oci/errors.ts'
import { dockerList, dockerManifest, ociIndex, ociManifest } from '../../src/oci/media-types.ts'
import {
  codesOf,
  configurations,
  manifestOf,
  pushBlob,
  pushManifest,
  type RequestOptions,
  startRegistry,
  type TestRegistry,
} from './harness.ts'

type Row = readonly [method: string, path: string, expected: readonly [number, ErrorCode], options?: RequestOptions]

const nameInvalid = [400, 'NAME_INVALID'] as const
const tagInvalid = [400, 'TAG_INVALID'] as const
const digestInvalid = [400, 'DIGEST_INVALID'] as const
const manifestInvalid = [400, 'MANIFEST_INVALID'] as const
const notFound = [404, 'NOT_FOUND'] as const
const uploadUnknown = [404, 'BLOB_UPLOAD_UNKNOWN'] as const
const requestInvalid = [400, 'REQUEST_INVALID'] as const

const names = [
  'UPPER',
  'a%2561',
  'a%252Fb',
  '%25',
  '%zz',
  '%',
  '%e0%a4',
  '%C3%28',
  'a%00',
  '%00',
  'a%0d%0ab',
  'a%20b',
  'a/%2e%2e/b',
  '%2e%2e',
  '..',
  '.',
  'a/../b',
  'a/./b',
  'a//b',
  'a/',
  '-a',
  'a-',
  'a..b',
  'a___b',
  '_a',
  'a/_catalog',
  'a:b',
  'a@b',
  'a\\b',
  'a~b',
  'ä',
  '%F0%9F%92%A9',
  'a'.repeat(254),
  'a'.repeat(256),
  'a'.repeat(9000),
  'a/'.repeat(4500) + 'a',
  '%61'.repeat(5000),
  "~!*'();:@&=+$,",
]
const nameRows = names.flatMap((name): readonly Row[] => [
  ['GET', `/v2/${encodeURI(name).replaceAll('%25', '%')}/manifests/v1`, nameInvalid],
  ['PUT', `/v2/${encodeURI(name).replaceAll('%25', '%')}/manifests/v1`, nameInvalid, { body: '{}' }],
  ['POST', `/v2/${encodeURI(name).replaceAll('%25', '%')}/blobs/uploads/`, nameInvalid],
])

const tags = [
  '-x',
  '.x',
  'a%20b',
  'a%2Fb',
  'a%252Fb',
  '%00',
  'a%00b',
  '%zz',
  '%F0%9F%92%A9',
  'a'.repeat(129),
  'A'.repeat(101),
  'a'.repeat(9000),
  'a+b',
  '~',
  '..',
]
const tagRows = tags.flatMap((tag): readonly Row[] => [
  ['GET', `/v2/nasty/manifests/${tag}`, tagInvalid],
  ['PUT', `/v2/nasty/manifests/${tag}`, tagInvalid, { body: '{}' }],
  ['DELETE', `/v2/nasty/manifests/${tag}`, tagInvalid],
  ['PUT', `/v2/nasty/manifests/v2?tag=${tag}`, tagInvalid, { body: '{}' }],
  ['GET', `/v2/nasty/tags/list?last=${tag}`, tagInvalid],
])

const pathRows: readonly Row[] = [
  ['GET', '//v2/', notFound],
  ['GET', '/v2//manifests/v1', notFound],
  ['GET', '/v2/nasty/manifests/v1/', notFound],
  ['GET', '/v2/nasty/manifests/', notFound],
  ['GET', '/v2/nasty', notFound],
  ['GET', '/v2/..', notFound],
  ['GET', '/../../../etc/passwd', notFound],
  ['GET', '/v2/%2e%2e/%2e%2e/etc/passwd', notFound],
  ['GET', `/${'a/'.repeat(10_000)}`, notFound],
  ['GET', '/v2/nasty/MANIFESTS/v1', notFound],
  ['GET', '/v2/_catalog/', notFound],
]

const methodRows: readonly Row[] = ['PROPFIND', 'TRACE', 'OPTIONS', 'M-SEARCH', 'LOCK', 'QUERY', 'MOVE'].flatMap(
  (method): readonly Row[] => [
    [method, '/v2/', [405, 'UNSUPPORTED']],
    [method, '/v2/nasty/manifests/v1', [405, 'UNSUPPORTED']],
    [method, '/nothing', notFound],
  ],
)

const listRows: readonly Row[] = ['-1', '1.5', 'x', '%00', '1e9', '0x10', '', '%zz', '١'].flatMap(
  (n): readonly Row[] => [
    ['GET', `/v2/nasty/tags/list?n=${encodeURI(n).replaceAll('%25', '%')}`, [400, 'PAGINATION_NUMBER_INVALID']],
    ['GET', `/v2/_catalog?n=${encodeURI(n).replaceAll('%25', '%')}`, [400, 'PAGINATION_NUMBER_INVALID']],
  ],
)

const queryRows: readonly Row[] = [
  ['GET', '/v2/nasty/tags/list?n=1&n=2', requestInvalid],
  ['GET', '/v2/_catalog?last=UPPER', nameInvalid],
  ['GET', `/v2/_catalog?last=${'a'.repeat(9000)}`, nameInvalid],
  ['GET', `/v2/nasty/referrers/sha256:${'0'.repeat(64)}?last=x`, digestInvalid],
  [
    'PUT',
    `/v2/nasty/manifests/v2?${'tag=a&'.repeat(30)}${Array.from({ length: 21 }, (_, i) => `tag=t${i}`).join('&')}`,
    requestInvalid,
    { body: '{}' },
  ],
  ['POST', `/v2/nasty/blobs/uploads/?digest=sha256:${'0'.repeat(64)}&digest=sha256:${'1'.repeat(64)}`, requestInvalid],
  ['POST', '/v2/nasty/blobs/uploads/?mount=x&from=nasty', digestInvalid],
  ['POST', '/v2/nasty/blobs/uploads/?digest-algorithm=__proto__', digestInvalid],
  ['POST', `/v2/nasty/blobs/uploads/?digest=sha256:${'0'.repeat(64)}`, digestInvalid, { body: 'other bytes' }],
  ['POST', `/v2/nasty/blobs/uploads/?digest=sha256:${'0'.repeat(64)}`, digestInvalid],
]

const config = {
  mediaType: 'application/vnd.oci.image.config.v1+json',
  digest: computeDigest('sha256', Buffer.from('{}')),
  size: 2,
}
const image = (changes: object): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: [], ...changes })
const manifests: Readonly<Record<string, readonly [type: string | undefined, body: string | Buffer]>> = {
  empty: [ociManifest, ''],
  null: [ociManifest, 'null'],
  'a list': [ociManifest, '[]'],
  'a text': [ociManifest, '"manifest"'],
  'a number': [ociManifest, '1e400'],
  'not JSON': [ociManifest, '{"schemaVersion":2,'],
  HTML: [ociManifest, '<html></html>'],
  'not UTF-8': [ociManifest, Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
  NULs: [ociManifest, Buffer.alloc(1000)],
  'lists too deep': [ociManifest, '['.repeat(100_000)],
  'objects too deep': [ociManifest, `{"schemaVersion":2,"x":${'{"a":'.repeat(70)}1${'}'.repeat(70)}}`],
  'no fields': [ociManifest, '{}'],
  'a mediaType other than its Content-Type': [ociManifest, image({ mediaType: dockerManifest })],
  'an index pushed as an image': [ociManifest, JSON.stringify({ schemaVersion: 2, manifests: [] })],
  'an image pushed as an index': [ociIndex, image({ mediaType: ociIndex })],
  'an image and an index in one': [ociManifest, image({ manifests: [] })],
  'the wrong schemaVersion': [dockerManifest, image({ schemaVersion: 1, mediaType: dockerManifest })],
  'no schemaVersion': [dockerList, JSON.stringify({ manifests: [] })],
  'text/plain': ['text/plain', image({ mediaType: undefined })],
  'an odd Content-Type': [';;;', image({ mediaType: 'x' })],
  'a form': ['application/x-www-form-urlencoded', image({ mediaType: undefined })],
  'layers that are no list': [ociManifest, image({ layers: {} })],
  'a layer that is no descriptor': [ociManifest, image({ layers: [null] })],
  'a layer of negative size': [ociManifest, image({ layers: [{ ...config, size: -1 }] })],
  'a layer with a bad digest': [ociManifest, image({ layers: [{ ...config, digest: '../../etc/passwd' }] })],
  'a config that is a text': [ociManifest, image({ config: 'x' })],
  'a subject that is a list': [ociManifest, image({ subject: [] })],
  'annotations that are numbers': [ociManifest, image({ annotations: { a: 1 } })],
}
const manifestRows = Object.values(manifests).map(([type, body]): Row => [
  'PUT',
  '/v2/nasty/manifests/v2',
  manifestInvalid,
  { headers: type === undefined ? {} : { 'Content-Type': type }, body },
])
const tooBig: readonly Row[] = [
  [
    'PUT',
    '/v2/nasty/manifests/v2',
    [413, 'TOO_LARGE'],
    { headers: { 'Content-Type': ociManifest }, body: Buffer.alloc(5 * 1024 * 1024, 0x20) },
  ],
  ['PUT', '/v2/nasty/manifests/v2', [413, 'TOO_LARGE'], { headers: { 'Content-Length': String(2 ** 60) } }],
]

/** Rows that need an upload: its URL in its own repository and in another's. */
function uploadRows(id: string): readonly Row[] {
  const own = `/v2/nasty/blobs/uploads/${id}`
  const foreign = `/v2/other/blobs/uploads/${id}`
  const digest = computeDigest('sha256', Buffer.from('abc'))
  const unknown = [
    '..',
    '%2e%2e%2fsession',
    '%00',
    'x'.repeat(9000),
    id.toUpperCase(),
    `${id}x`,
    '%zz',
    randomUUID(),
    '..%2f..%2f..%2fetc%2fpasswd',
  ]
  const ranges = ['x', '0', '3-', '-5', '5-3', 'bytes 3-5/6', '0x3-0x5', '3-99999999999999999999', '3–5']
  return [
    ...[foreign, ...unknown.map((each) => `/v2/nasty/blobs/uploads/${each}`)].flatMap((url): readonly Row[] => [
      ['GET', url, uploadUnknown],
      ['PATCH', url, uploadUnknown, { headers: { 'Content-Range': '3-5' }, body: 'def' }],
      ['PUT', `${url}?digest=${digest}`, uploadUnknown],
      ['PUT', `${url}?digest=${digest}`, uploadUnknown, { headers: { 'Content-Range': '3-5' }, body: 'def' }],
      ['DELETE', url, uploadUnknown],
    ]),
    ...ranges.flatMap((range): readonly Row[] => [
      [
        'PATCH',
        own,
        [400, 'BLOB_UPLOAD_INVALID'],
        { headers: { 'Content-Range': Buffer.from(range).toString('latin1') }, body: 'def' },
      ],
      [
        'PUT',
        `${own}?digest=${digest}`,
        [400, 'BLOB_UPLOAD_INVALID'],
        { headers: { 'Content-Range': Buffer.from(range).toString('latin1') }, body: 'def' },
      ],
    ]),
    ['PATCH', own, [400, 'SIZE_INVALID'], { headers: { 'Content-Range': '3-9' }, body: 'def' }],
    ['PUT', `${own}?digest=${digest}`, [400, 'SIZE_INVALID'], { headers: { 'Content-Range': '3-9' }, body: 'def' }],
    ['PUT', `${own}?digest=${digest}`, [400, 'SIZE_INVALID'], { headers: { 'Content-Range': '3-9' } }],
    ['PATCH', own, [416, 'RANGE_INVALID'], { headers: { 'Content-Range': '0-2' }, body: 'abc' }],
    [
      'PATCH',
      own,
      [416, 'RANGE_INVALID'],
      { headers: { 'Content-Range': '9007199254740989-9007199254740990' }, body: 'ab' },
    ],
    ['PATCH', own, [416, 'RANGE_INVALID'], { body: 'abc' }],
    ['PUT', own, digestInvalid],
    ['PUT', `${own}?digest=${digest}&digest=${digest}`, requestInvalid],
    ['PUT', `${own}?digest=${computeDigest('sha256', Buffer.from('x'))}`, digestInvalid],
    [
      'PUT',
      `${own}?digest=${computeDigest('sha256', Buffer.from('x'))}`,
      digestInvalid,
      { headers: { 'Content-Range': '3-5' }, body: 'def' },
    ],
    ['PATCH', own, [413, 'TOO_LARGE'], { headers: { 'Content-Length': '18446744073709551615' } }],
    [
      'PATCH',
      own,
      [400, 'SIZE_INVALID'],
      { headers: { 'Content-Range': '3-9', 'Transfer-Encoding': 'chunked' }, body: Readable.from(['def']) },
    ],
  ]
}

for (const configuration of configurations) {
  describe(`bad input, on ${configuration.name}`, () => {
    let registry: TestRegistry
    let uploadId = ''
    before(async () => {
      registry = await startRegistry(configuration)
      await pushManifest(registry, 'nasty', 'v1')
      await pushManifest(registry, 'other', 'v1')
      await pushBlob(registry, 'nasty', randomBytes(1000))
      const started = await registry.send('POST', '/v2/nasty/blobs/uploads/')
      await registry.send('PATCH', started.headers.location ?? '', { body: 'abc' })
      uploadId = String(started.headers['docker-upload-uuid'])
    })
    after(() => registry.close())

    async function check(rows: readonly Row[]): Promise<void> {
      const contents = await registry.contents()
      for (const [method, path, [status, code], options] of rows) {
        const shown = `${method} ${path.slice(0, 100)} ${JSON.stringify(options?.headers)} ${typeof options?.body === 'string' ? options.body.slice(0, 60) : ''}`
        const answer = await registry.send(method, path, options)
        assert.equal(answer.status, status, `${shown}: ${answer.body.toString().slice(0, 300)}`)
        assert.deepEqual(codesOf(answer), [code], shown)
      }
      assert.deepEqual(await registry.contents(), contents, 'the store has changed')
      assert.deepEqual(registry.faults, [])
      const start = performance.now()
      assert.equal((await registry.send('GET', '/v2/')).status, 200)
      assert.ok(performance.now() - start < 1000)
    }

    test('names: malformed, double-encoded, NUL, dots, of 256 and of 9,000 characters', () => check(nameRows))
    test('tags: malformed, double-encoded, too long', () => check(tagRows))
    test('paths: double slashes, dots, unknown ones', () => check(pathRows))
    test('methods that nobody knows', () => check(methodRows))
    test('n', () => check(listRows))
    test('other parameters: repeated, malformed, too many', () => check(queryRows))
    test('manifests: not JSON, null, too deep, contradicting their media type', () => check(manifestRows))
    test('manifests: too big', () => check(tooBig))
    test('uploads: of another repository, unknown, out of order, with lengths that contradict', () =>
      check(uploadRows(uploadId)))

    test('the upload that all this was tried on can still be finished', async () => {
      const url = `/v2/nasty/blobs/uploads/${uploadId}`
      const status = await registry.send('GET', url)
      assert.equal(status.headers.range, '0-2')
      const digest = computeDigest('sha256', Buffer.from('abc'))
      assert.equal((await registry.send('PUT', `${url}?digest=${digest}`)).status, 201)
      const manifest = manifestOf(await pushBlob(registry, 'nasty', Buffer.from('{}')))
      const headers = { 'Content-Type': ociManifest }
      assert.equal((await registry.send('PUT', '/v2/nasty/manifests/v2', { headers, body: manifest })).status, 201)
    })
  })
}
