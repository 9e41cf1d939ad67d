/** PROTOCOL.md, "Pull": one test for each row, named by its words, on every configuration. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { computeDigest, type Digest } from '../../src/oci/digest.ts'
import { ociIndex, ociManifest } from '../../src/oci/media-types.ts'
import { StorageError } from '../../src/storage/driver.ts'
import {
  type Answer,
  codesOf,
  configurations,
  memory,
  pushBlob,
  pushManifest,
  startRegistry,
  type TestRegistry,
} from './harness.ts'

const bytes = randomBytes(3_000_000)

/** The parts of a multipart/byteranges body, with their Content-Range. */
function readParts({ headers, body }: Answer): readonly (readonly [string, Buffer])[] {
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(String(headers['content-type']))?.[1]
  const parts: (readonly [string, Buffer])[] = []
  const delimiter = `--${boundary}\r\n`
  assert.ok(body.subarray(0, delimiter.length).equals(Buffer.from(delimiter)))
  for (let at = 0; ;) {
    const headEnd = body.indexOf('\r\n\r\n', at)
    if (headEnd < 0) return parts
    const range = /Content-Range: (bytes (\d+)-(\d+)\/\d+)/.exec(body.subarray(at, headEnd).toString())
    const length = Number(range?.[3]) - Number(range?.[2]) + 1
    parts.push([range?.[1] ?? '', body.subarray(headEnd + 4, headEnd + 4 + length)])
    at = headEnd + 4 + length
  }
}

function tagsOf({ json }: Answer): unknown {
  return typeof json === 'object' && json !== null && 'tags' in json ? json.tags : undefined
}

function manifestsOf({ json }: Answer): readonly { readonly digest: string; readonly [field: string]: unknown }[] {
  assert.ok(typeof json === 'object' && json !== null && 'manifests' in json && Array.isArray(json.manifests))
  return json.manifests
}

function nextOf({ headers }: Answer): string | undefined {
  return /^<([^>]+)>; rel="next"$/.exec(String(headers['link']))?.[1]
}

for (const configuration of configurations) {
  describe(`pull, on ${configuration.name}`, () => {
    let registry: TestRegistry
    let blob: Digest
    before(async () => {
      registry = await startRegistry(configuration)
      blob = await pushBlob(registry, 'pull', bytes)
    })
    after(() => registry.close())

    const send: TestRegistry['send'] = (...request) => registry.send(...request)
    const getBlob = (headers: Record<string, string>): Promise<Answer> =>
      send('GET', `/v2/pull/blobs/${blob}`, { headers })

    test('HEAD and GET of a manifest carry `Docker-Content-Digest`, `Content-Type` as pushed (no parameters), exact `Content-Length`, `ETag`; `If-None-Match` → 304', async () => {
      const { digest, bytes: manifest } = await pushManifest(registry, 'manifest', 'v1')
      for (const reference of ['v1', digest]) {
        for (const method of ['HEAD', 'GET']) {
          const { status, headers, body } = await send(method, `/v2/manifest/manifests/${reference}`)
          assert.equal(status, 200)
          assert.equal(headers['docker-content-digest'], digest)
          assert.equal(headers['content-type'], ociManifest)
          assert.equal(headers['content-length'], String(manifest.length))
          assert.equal(headers.etag, `"${digest}"`)
          assert.deepEqual(body, method === 'HEAD' ? Buffer.alloc(0) : manifest)
          for (const tag of [`"${digest}"`, `W/"${digest}"`, '*', `"x", "${digest}"`]) {
            const options = { headers: { 'If-None-Match': tag } }
            const known = await send(method, `/v2/manifest/manifests/${reference}`, options)
            assert.equal(known.status, 304)
            assert.equal(known.body.length, 0)
            assert.equal(known.headers.etag, `"${digest}"`)
          }
          const options = { headers: { 'If-None-Match': '"other"' } }
          assert.equal((await send(method, `/v2/manifest/manifests/${reference}`, options)).status, 200)
        }
      }
    })

    test('Never content-encode blobs or manifests; never rewrite an index into a manifest because of `Accept`', async () => {
      const encoded = await getBlob({ 'Accept-Encoding': 'zstd;q=1.0, gzip;q=0.8, deflate;q=0.5' })
      assert.equal(encoded.headers['content-encoding'], undefined)
      assert.deepEqual(encoded.body, bytes)
      const { digest, bytes: child } = await pushManifest(registry, 'accept', 'child')
      const descriptor = { mediaType: ociManifest, digest, size: child.length }
      const index = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [descriptor] })
      const headers = { 'Content-Type': ociIndex }
      assert.equal((await send('PUT', '/v2/accept/manifests/v1', { headers, body: index })).status, 201)
      for (const accept of [ociManifest, 'text/plain', '*/*', 'not an accept header at all']) {
        const got = await send('GET', '/v2/accept/manifests/v1', {
          headers: { Accept: accept, 'Accept-Encoding': 'gzip' },
        })
        assert.equal(got.headers['content-type'], ociIndex)
        assert.equal(got.headers['content-encoding'], undefined)
        assert.equal(got.body.toString(), index)
      }
    })

    test('Ranges: `a-b`, `a-`, `-n`; 206 with exact `Content-Range`; `Accept-Ranges: bytes`', async () => {
      const size = bytes.length
      for (const [range, start, end] of [
        ['0-0', 0, 1],
        ['0-99', 0, 100],
        ['100-', 100, size],
        ['-7', size - 7, size],
        [`${size - 1}-${size + 100}`, size - 1, size],
        ['1048575-2097152', 1_048_575, 2_097_153],
      ] as const) {
        const answer = await getBlob({ Range: `bytes=${range}` })
        assert.equal(answer.status, 206)
        assert.equal(answer.headers['content-range'], `bytes ${start}-${end - 1}/${size}`)
        assert.equal(answer.headers['content-length'], String(end - start))
        assert.equal(answer.headers['accept-ranges'], 'bytes')
        assert.equal(answer.headers['docker-content-digest'], blob)
        assert.ok(answer.body.equals(bytes.subarray(start, end)))
      }
      assert.equal((await getBlob({})).headers['accept-ranges'], 'bytes')
      assert.equal((await getBlob({ Range: 'lines=1-2' })).status, 200)
    })

    test('Ranges: 416 when unsatisfiable', async () => {
      for (const range of [`${bytes.length}-`, '500-0', '-0', 'x-y']) {
        const answer = await getBlob({ Range: `bytes=${range}` })
        assert.equal(answer.status, 416)
        assert.deepEqual(codesOf(answer), ['RANGE_INVALID'])
        assert.equal(answer.headers['content-range'], `bytes */${bytes.length}`)
      }
      const empty = await pushBlob(registry, 'pull', Buffer.alloc(0))
      assert.equal((await send('GET', `/v2/pull/blobs/${empty}`, { headers: { Range: 'bytes=0-' } })).status, 416)
      assert.equal((await send('GET', `/v2/pull/blobs/${empty}`)).headers['content-length'], '0')
    })

    test('Ranges: `If-Range`', async () => {
      const range = { Range: 'bytes=0-9' }
      assert.equal((await getBlob({ ...range, 'If-Range': `"${blob}"` })).status, 206)
      for (const value of [`W/"${blob}"`, '"other"', 'Tue, 24 Nov 2026 12:00:00 GMT']) {
        const answer = await getBlob({ ...range, 'If-Range': value })
        assert.equal(answer.status, 200)
        assert.equal(answer.body.length, bytes.length)
      }
    })

    test('Many ranges in one header (zstd:chunked): 206 `multipart/byteranges` in order; 400 is the only other clean answer', async () => {
      // More than are open at once, and not in the order of the blob.
      const ranges = Array.from({ length: 40 }, (_, i) => [(40 - i) * 50_000, (40 - i) * 50_000 + 1000 + i] as const)
      const header = `bytes=${ranges.map(([start, end]) => `${start}-${end - 1}`).join(',')}`
      const answer = await getBlob({ Range: header })
      assert.equal(answer.status, 206)
      assert.equal(answer.headers['content-length'], String(answer.body.length))
      const parts = readParts(answer)
      assert.equal(parts.length, ranges.length)
      for (const [i, [start, end]] of ranges.entries()) {
        assert.equal(parts[i]?.[0], `bytes ${start}-${end - 1}/${bytes.length}`)
        assert.ok(parts[i]?.[1].equals(bytes.subarray(start, end)))
      }
      for (const bad of [`bytes=${'0-0,'.repeat(65)}`, 'bytes=0-,0-', 'bytes=-3000000,1-']) {
        const refused = await getBlob({ Range: bad })
        assert.equal(refused.status, 400)
        assert.deepEqual(codesOf(refused), ['REQUEST_INVALID'])
      }
    })

    test('a small blob has the same ranges, at the first read and when its bytes are kept', async () => {
      const warnings: string[] = []
      const onWarning = ({ message }: Error): void => void warnings.push(message)
      process.on('warning', onWarning)
      for (const size of [300, 16 * 1024, 16 * 1024 + 1]) {
        const small = bytes.subarray(0, size)
        const url = `/v2/small/blobs/${await pushBlob(registry, 'small', small)}`
        const get = (headers: Record<string, string>): Promise<Answer> => send('GET', url, { headers })
        for (let times = 0; times < 2; times++) {
          const parts = readParts(await get({ Range: 'bytes=0-0,290-299,5-5' }))
          assert.deepEqual(
            parts.map(([range]) => range),
            ['0-0', '290-299', '5-5'].map((range) => `bytes ${range}/${size}`),
          )
          assert.ok(
            Buffer.concat(parts.map(([, part]) => part)).equals(
              Buffer.concat([small.subarray(0, 1), small.subarray(290, 300), small.subarray(5, 6)]),
            ),
          )
          const many = Array.from({ length: 60 }, (_, i) => `${299 - i}-${299 - i}`)
          assert.equal(readParts(await get({ Range: `bytes=${many.join(',')}` })).length, 60)
          const one = await get({ Range: 'bytes=10-19' })
          assert.deepEqual([one.status, one.headers['content-range']], [206, `bytes 10-19/${size}`])
          assert.equal(one.headers['content-type'], 'application/octet-stream')
          assert.ok(one.body.equals(small.subarray(10, 20)))
          assert.equal((await get({ Range: `bytes=${size}-` })).status, 416)
          const whole = await get({})
          assert.deepEqual([whole.status, whole.headers['content-length']], [200, String(size)])
          assert.ok(whole.body.equals(small))
        }
      }
      process.off('warning', onWarning)
      assert.deepEqual(warnings, [])
    })

    test('HEAD of a blob says its real size', async () => {
      const options = [{}, { headers: { Range: 'bytes=0-9' } }, { headers: { 'Accept-Encoding': 'gzip' } }]
      for (const option of options) {
        const { status, headers, body } = await send('HEAD', `/v2/pull/blobs/${blob}`, option)
        assert.equal(status, 200)
        assert.equal(headers['content-length'], String(bytes.length))
        assert.equal(headers['docker-content-digest'], blob)
        assert.equal(headers['content-type'], 'application/octet-stream')
        assert.equal(headers.etag, `"${blob}"`)
        assert.equal(body.length, 0)
      }
      const known = await send('GET', `/v2/pull/blobs/${blob}`, { headers: { 'If-None-Match': `"${blob}"` } })
      assert.equal(known.status, 304)
      const absent = computeDigest('sha256', randomBytes(8))
      const headers = { 'If-None-Match': `"${absent}"` }
      assert.equal((await send('GET', `/v2/pull/blobs/${absent}`, { headers })).status, 404)
    })

    test('Errors: JSON `errors[]` with upper-case codes. 405 and 404 for unknown routes too', async () => {
      const absent = computeDigest('sha256', randomBytes(8))
      for (const [method, url, status, code] of [
        ['GET', '/', 404, 'NOT_FOUND'],
        ['GET', '/v1/_ping', 404, 'NOT_FOUND'],
        ['GET', '/v2/nothing', 404, 'NOT_FOUND'],
        ['GET', '/V2/', 404, 'NOT_FOUND'],
        ['POST', '/v2/', 405, 'UNSUPPORTED'],
        ['OPTIONS', '/v2/', 405, 'UNSUPPORTED'],
        ['POST', '/v2/pull/manifests/v1', 405, 'UNSUPPORTED'],
        ['PATCH', `/v2/pull/blobs/${blob}`, 405, 'UNSUPPORTED'],
        ['GET', '/v2/pull/blobs/uploads/', 405, 'UNSUPPORTED'],
        ['GET', `/v2/pull/blobs/${absent}`, 404, 'BLOB_UNKNOWN'],
        ['GET', '/v2/pull/manifests/absent', 404, 'MANIFEST_UNKNOWN'],
        ['GET', `/v2/pull/manifests/${absent}`, 404, 'MANIFEST_UNKNOWN'],
        ['GET', '/v2/nobody/tags/list', 404, 'NAME_UNKNOWN'],
        ['GET', '/v2/pull/blobs/uploads/11111111-1111-4111-8111-111111111111', 404, 'BLOB_UPLOAD_UNKNOWN'],
      ] as const) {
        const answer = await send(method, url)
        assert.equal(answer.status, status, `${method} ${url}`)
        assert.deepEqual(codesOf(answer), [code], `${method} ${url}`)
        assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
        assert.equal(answer.headers['x-content-type-options'], 'nosniff')
      }
      assert.equal((await send('POST', '/v2/')).headers.allow, 'GET, HEAD')
      assert.equal((await send('POST', '/v2/pull/manifests/v1')).headers.allow, 'GET, HEAD, PUT, DELETE')
    })

    test('After DELETE, HEAD at once says 404', async () => {
      const { digest } = await pushManifest(registry, 'delete', 'v1')
      await pushManifest(registry, 'delete', 'v2')
      const own = await pushBlob(registry, 'delete', randomBytes(10))
      for (const url of ['/v2/delete/manifests/v1', `/v2/delete/manifests/${digest}`, `/v2/delete/blobs/${own}`]) {
        assert.equal((await send('HEAD', url)).status, 200, url)
        const deleted = await send('DELETE', url)
        assert.equal(deleted.status, 202)
        assert.equal(deleted.headers['content-length'], '0')
        assert.equal((await send('HEAD', url)).status, 404)
        assert.equal((await send('DELETE', url)).status, 404)
      }
      assert.equal((await send('HEAD', '/v2/delete/manifests/v2')).status, 404)
    })

    test('Tag list: ASCII order, `n`, `last`, `Link; rel="next"`, `n=0` → empty and no Link', async () => {
      for (const tag of ['b', 'a', 'B', '_', '1', 'a.1', 'a-1']) await pushManifest(registry, 'list', tag)
      const order = ['1', 'B', '_', 'a', 'a-1', 'a.1', 'b']
      const all = await send('GET', '/v2/list/tags/list')
      assert.deepEqual(all.json, { name: 'list', tags: order })
      assert.equal(all.headers['link'], undefined)
      const seen: unknown[] = []
      for (let url: string | undefined = '/v2/list/tags/list?n=3'; url !== undefined;) {
        const page = await send('GET', url)
        seen.push(tagsOf(page))
        url = nextOf(page)
      }
      assert.deepEqual(seen, [order.slice(0, 3), order.slice(3, 6), order.slice(6)])
      assert.deepEqual(tagsOf(await send('GET', '/v2/list/tags/list?last=a')), ['a-1', 'a.1', 'b'])
      assert.deepEqual(tagsOf(await send('GET', '/v2/list/tags/list?n=99999999999&last=zzz')), [])
      const none = await send('GET', '/v2/list/tags/list?n=0')
      assert.deepEqual(none.json, { name: 'list', tags: [] })
      assert.equal(none.headers['link'], undefined)
      for (const n of ['-1', 'x', '']) {
        assert.deepEqual(codesOf(await send('GET', `/v2/list/tags/list?n=${n}`)), ['PAGINATION_NUMBER_INVALID'])
      }
    })

    test('Referrers: always 200 with an index for a valid digest, `artifactType` filter with `OCI-Filters-Applied`, annotations, artifactType, pages by `Link`', async () => {
      const { digest, bytes: manifest } = await pushManifest(registry, 'refer', 'v1')
      const empty = await send('GET', `/v2/refer/referrers/${digest}`)
      assert.equal(empty.status, 200)
      assert.equal(empty.headers['content-type'], ociIndex)
      assert.deepEqual(empty.json, { schemaVersion: 2, mediaType: ociIndex, manifests: [] })
      assert.equal((await send('GET', `/v2/nobody-here/referrers/${digest}`)).status, 200)
      const subject = { mediaType: ociManifest, digest, size: manifest.length }
      const artifactType = 'application/vnd.example.sbom+json'
      const annotations = { 'org.example': 'yes' }
      const pushed: string[] = []
      for (let i = 0; i < 5; i++) {
        const fields = { subject, artifactType, annotations: { ...annotations, i: String(i) } }
        pushed.push((await pushManifest(registry, 'refer', undefined, fields)).digest)
      }
      const plain = await pushManifest(registry, 'refer', undefined, { subject })
      const all = manifestsOf(await send('GET', `/v2/refer/referrers/${digest}`))
      assert.deepEqual(all.map((each) => each.digest).sort(), [...pushed, plain.digest].sort())
      const fallback = all.find((each) => each.digest === plain.digest)
      assert.equal(fallback?.['artifactType'], 'application/vnd.oci.image.config.v1+json')
      for (const query of [encodeURIComponent(artifactType), artifactType]) {
        const filtered = await send('GET', `/v2/refer/referrers/${digest}?artifactType=${query}`)
        assert.equal(filtered.headers['oci-filters-applied'], 'artifactType')
        assert.deepEqual(
          manifestsOf(filtered)
            .map((each) => each.digest)
            .sort(),
          [...pushed].sort(),
        )
        assert.deepEqual(Object.keys(Object(manifestsOf(filtered)[0]?.['annotations'])), ['org.example', 'i'])
      }
      const seen: string[] = []
      const start = `/v2/refer/referrers/${digest}?artifactType=${encodeURIComponent(artifactType)}&n=2`
      for (let url: string | undefined = start; url !== undefined;) {
        const page = await send('GET', url)
        assert.ok(manifestsOf(page).length <= 2)
        assert.equal(page.headers['oci-filters-applied'], 'artifactType')
        seen.push(...manifestsOf(page).map((each) => each.digest))
        url = nextOf(page)
      }
      assert.deepEqual(seen.sort(), [...pushed].sort())
    })

    test('Fallback referrer tags (`sha256-<hex>`) pushed by old clients are listed too', async () => {
      const { digest } = await pushManifest(registry, 'old', 'v1')
      const { digest: signature, bytes: manifest } = await pushManifest(registry, 'old', undefined, {
        artifactType: 'a/b',
      })
      const descriptor = { mediaType: ociManifest, digest: signature, size: manifest.length, artifactType: 'a/b' }
      const index = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [descriptor] })
      const url = `/v2/old/manifests/${digest.replace(':', '-')}`
      assert.equal((await send('PUT', url, { headers: { 'Content-Type': ociIndex }, body: index })).status, 201)
      const listed = manifestsOf(await send('GET', `/v2/old/referrers/${digest}`))
      assert.deepEqual(
        listed.map((each) => each.digest),
        [signature],
      )
    })

    test('The catalog: ASCII order, `n`, `last`, `Link; rel="next"`, `n=0` → empty and no Link', async () => {
      const names = ['catalog/a', 'catalog/a-b', 'catalog/a.b', 'catalog/a/b', 'catalog/a0']
      for (const name of names.toReversed()) await pushManifest(registry, name, 'v1')
      const all = await send('GET', '/v2/_catalog?last=catalog')
      assert.deepEqual(Object(all.json).repositories.slice(0, 5), names)
      const page = await send('GET', '/v2/_catalog?n=2&last=catalog')
      assert.deepEqual(page.json, { repositories: names.slice(0, 2) })
      assert.equal(nextOf(page), '/v2/_catalog?n=2&last=catalog%2Fa-b')
      assert.deepEqual(Object((await send('GET', nextOf(page) ?? '')).json).repositories, names.slice(2, 4))
      const none = await send('GET', '/v2/_catalog?n=0')
      assert.deepEqual(none.json, { repositories: [] })
      assert.equal(none.headers['link'], undefined)
    })
  })
}

test('429 and 503 carry `Retry-After`; a full store is 507, a bug 500 with a request id and no internals', async () => {
  const failures = {
    unavailable: new StorageError('unavailable', 'secret-host:9000 did not answer'),
    'read-only': new StorageError('read-only', 'secret'),
    full: new StorageError('full', 'secret'),
    bug: new TypeError("Cannot read properties of undefined (reading 'secret')"),
  }
  let failure: Error = failures.bug
  const registry = await startRegistry(memory, {
    adapt: (dependencies) => ({
      ...dependencies,
      registry: {
        ...dependencies.registry,
        manifests: { ...dependencies.registry.manifests, get: () => Promise.reject(failure) },
      },
    }),
  })
  try {
    for (const [name, status, code, retry] of [
      ['unavailable', 503, 'UNAVAILABLE', '5'],
      ['read-only', 503, 'UNAVAILABLE', '5'],
      ['full', 507, 'STORAGE_FULL', undefined],
      ['bug', 500, 'UNKNOWN', undefined],
    ] as const) {
      failure = failures[name]
      const answer = await registry.send('GET', '/v2/a/manifests/b', { headers: { 'X-Request-Id': `id-${name}` } })
      assert.equal(answer.status, status)
      assert.deepEqual(codesOf(answer), [code])
      assert.equal(answer.headers['retry-after'], retry)
      assert.equal(answer.headers['x-request-id'], `id-${name}`)
      assert.ok(!answer.body.toString().includes('secret'))
      assert.equal(answer.body.toString().includes('id-bug'), name === 'bug')
      assert.equal(registry.faults.at(-1)?.['error'], failure)
      assert.equal(registry.faults.at(-1)?.['requestId'], `id-${name}`)
      const head = await registry.send('HEAD', '/v2/a/manifests/b')
      assert.equal(head.status, status)
      assert.equal(head.body.length, 0)
    }
  } finally {
    await registry.close()
  }
})
