/** PROTOCOL.md, "Push": one test for each row, named by its words, on every configuration. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import { dockerManifest, ociIndex, ociManifest } from '../../src/oci/media-types.ts'
import {
  type Answer,
  codesOf,
  configurations,
  headersNamed,
  manifestOf,
  pushBlob,
  pushManifest,
  startRegistry,
  type TestRegistry,
} from './harness.ts'

const bytes = randomBytes(300_000)
const digest = computeDigest('sha256', bytes)
const chunkedBody = { 'Transfer-Encoding': 'chunked', 'Content-Type': 'application/octet-stream' }

function locationOf({ headers }: Answer): string {
  return headers.location ?? assert.fail('no Location')
}

for (const configuration of configurations) {
  describe(`push, on ${configuration.name}`, () => {
    let registry: TestRegistry
    before(async () => {
      registry = await startRegistry(configuration)
    })
    after(() => registry.close())

    const send: TestRegistry['send'] = (...request) => registry.send(...request)
    const startUpload = async (name: string): Promise<string> =>
      locationOf(await send('POST', `/v2/${name}/blobs/uploads/`))

    test('Docker classic, podman, skopeo, crane: HEAD, POST, one streaming PATCH without Content-Range, empty PUT, HEAD', async () => {
      const blob = `/v2/docker/classic/blobs/${digest}`
      assert.equal((await send('HEAD', blob)).status, 404)
      const started = await send('POST', '/v2/docker/classic/blobs/uploads/', { headers: { 'Content-Length': '0' } })
      assert.equal(started.status, 202)
      const patched = await send('PATCH', locationOf(started), {
        headers: chunkedBody,
        body: Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)]),
      })
      assert.equal(patched.status, 202)
      assert.equal(patched.headers.range, `0-${bytes.length - 1}`)
      const closed = await send('PUT', `${locationOf(patched)}?digest=${encodeURIComponent(digest)}`, { body: '' })
      assert.equal(closed.status, 201)
      assert.equal(closed.headers['docker-content-digest'], digest)
      const head = await send('HEAD', blob)
      assert.equal(head.status, 200)
      assert.equal(head.headers['content-length'], String(bytes.length))
    })

    test('containerd, BuildKit, nerdctl: HEAD, POST, one PUT with the whole body', async () => {
      const location = await startUpload('containerd')
      const closed = await send('PUT', `${location}?digest=${digest}`, { body: bytes })
      assert.equal(closed.status, 201)
      assert.deepEqual((await send('GET', locationOf(closed))).body, bytes)
    })

    test('Some: single POST with ?digest=', async () => {
      const answer = await send('POST', `/v2/single/blobs/uploads/?digest=${digest}`, { body: bytes })
      assert.equal(answer.status, 201)
      assert.equal(answer.headers['docker-content-digest'], digest)
      assert.deepEqual((await send('GET', locationOf(answer))).body, bytes)
    })

    test('`Location` is relative; every `Location` returned must itself work, and old ones of a session must keep working', async () => {
      const first = await startUpload('location')
      const second = locationOf(await send('PATCH', first, { body: 'abc' }))
      const third = locationOf(await send('GET', second))
      for (const location of [first, second, third]) {
        assert.match(location, /^\/v2\/location\/blobs\/uploads\/[\w-]+$/)
        assert.equal((await send('GET', location)).status, 204)
      }
      const patched = await send('PATCH', first, { headers: { 'Content-Range': '3-5' }, body: 'def' })
      assert.equal(patched.status, 202)
      const closed = await send('PUT', `${second}?digest=${computeDigest('sha256', Buffer.from('abcdef'))}`)
      assert.equal(closed.status, 201)
      assert.equal(String((await send('GET', locationOf(closed))).body), 'abcdef')
      const pushed = await pushManifest(registry, 'location', 'v1')
      assert.equal(locationOf(pushed.answer), `/v2/location/manifests/${pushed.digest}`)
      assert.deepEqual((await send('GET', locationOf(pushed.answer))).body, pushed.bytes)
    })

    test('Send `Docker-Upload-UUID` and `Range: 0-<last>`; `0-0` when nothing was received', async () => {
      const started = await send('POST', '/v2/uuid/blobs/uploads/')
      const id = started.headers['docker-upload-uuid']
      assert.match(String(id), /^[0-9a-f-]{36}$/)
      assert.equal(started.headers.range, '0-0')
      const patched = await send('PATCH', locationOf(started), { body: bytes })
      assert.equal(patched.headers.range, '0-299999')
      assert.equal(patched.headers['docker-upload-uuid'], id)
      const status = await send('GET', locationOf(patched))
      assert.equal(status.status, 204)
      assert.equal(status.headers.range, '0-299999')
      assert.equal(status.headers['docker-upload-uuid'], id)
    })

    for (const method of ['PATCH', 'PUT']) {
      test(`A chunk out of order, in ${method}: 416 with \`Location\` and \`Range\`; the session survives; GET on it says where to go on (204)`, async () => {
        const location = await startUpload('order')
        await send('PATCH', location, { headers: { 'Content-Range': '0-2' }, body: 'abc' })
        const target = method === 'PUT' ? `${location}?digest=${digest}` : location
        for (const range of ['0-2', '4-6', '2-4']) {
          const answer = await send(method, target, { headers: { 'Content-Range': range }, body: 'xyz' })
          assert.equal(answer.status, 416)
          assert.deepEqual(codesOf(answer), ['RANGE_INVALID'])
          assert.equal(locationOf(answer), location)
          assert.equal(answer.headers.range, '0-2')
        }
        const status = await send('GET', location)
        assert.equal(status.status, 204)
        assert.equal(status.headers.range, '0-2')
        const whole = computeDigest('sha256', Buffer.from('abcdef'))
        const closed = await send('PUT', `${location}?digest=${whole}`, {
          headers: { 'Content-Range': '3-5' },
          body: 'def',
        })
        assert.equal(closed.status, 201)
      })
    }

    test('PATCH without `Content-Range` on a session that already has bytes: 416, or a transport-level retry corrupts the blob', async () => {
      const location = await startUpload('retry')
      assert.equal((await send('PATCH', location, { body: 'abc' })).status, 202)
      const again = await send('PATCH', location, { body: 'abc' })
      assert.equal(again.status, 416)
      assert.equal(again.headers.range, '0-2')
      const closed = await send('PUT', `${location}?digest=${computeDigest('sha256', Buffer.from('abc'))}`)
      assert.equal(closed.status, 201)
    })

    test('`OCI-Chunk-Min-Length`: prefer to need none', async () => {
      const started = await send('POST', '/v2/tiny/blobs/uploads/')
      assert.equal(started.headers['oci-chunk-min-length'], undefined)
      let location = locationOf(started)
      for (const [i, byte] of ['a', 'b', 'c', 'd'].entries()) {
        const answer = await send('PATCH', location, { headers: { 'Content-Range': `${i}-${i}` }, body: byte })
        assert.equal(answer.status, 202)
        location = locationOf(answer)
      }
      const closed = await send('PUT', `${location}?digest=${computeDigest('sha256', Buffer.from('abcd'))}`)
      assert.equal(closed.status, 201)
    })

    test('Mount: with `from`, without `from`, and fall back to 202 with a session', async () => {
      const blob = await pushBlob(registry, 'mount/source', randomBytes(100))
      const escaped = blob.replace(':', '%3A')
      const mounted = await send('POST', `/v2/mount/a/blobs/uploads/?mount=${escaped}&from=mount%2Fsource&origin=x`)
      assert.equal(mounted.status, 201)
      assert.equal(locationOf(mounted), `/v2/mount/a/blobs/${blob}`)
      assert.equal(mounted.headers['docker-content-digest'], blob)
      assert.equal((await send('POST', `/v2/mount/b/blobs/uploads/?mount=${blob}`)).status, 201)
      for (const name of ['mount/a', 'mount/b']) {
        assert.equal((await send('HEAD', `/v2/${name}/blobs/${blob}`)).status, 200)
      }
      const absent = computeDigest('sha256', randomBytes(8))
      const fallbacks = [`mount=${blob}&from=nobody`, `mount=${blob}&from=NOT%20A%20NAME`, `mount=${blob}&from=`]
      for (const query of [...fallbacks, `mount=${absent}&from=mount/source`, `mount=${absent}`]) {
        const answer = await send('POST', `/v2/mount/c/blobs/uploads/?${query}`)
        assert.equal(answer.status, 202, query)
        assert.equal((await send('PUT', `${locationOf(answer)}?digest=${digest}`, { body: bytes })).status, 201)
      }
    })

    const pad = (size: number) => ({ annotations: { pad: 'x'.repeat(size) } })

    test('Manifests: accept at least 4 MiB (the conformance suite sends about 3.9 MB), over the limit 413', async () => {
      const config = await pushBlob(registry, 'big', Buffer.from('{}'))
      const room = 4 * 1024 * 1024 - manifestOf(config, pad(0)).length
      const headers = { 'Content-Type': ociManifest }
      const most = await send('PUT', '/v2/big/manifests/a', { headers, body: manifestOf(config, pad(room)) })
      assert.equal(most.status, 201)
      const over = await send('PUT', '/v2/big/manifests/b', { headers, body: manifestOf(config, pad(room + 1)) })
      assert.equal(over.status, 413)
      assert.deepEqual(codesOf(over), ['TOO_LARGE'])
      const unknownLength = await send('PUT', '/v2/big/manifests/c', {
        headers: { ...headers, 'Transfer-Encoding': 'chunked' },
        body: Readable.from([manifestOf(config, pad(room)), Buffer.from(' ')]),
      })
      assert.equal(unknownLength.status, 413)
    })

    test('Manifests: keep the exact bytes; accept unknown fields, foreign layers without blobs, a missing subject, an empty index, zero layers', async () => {
      const config = await pushBlob(registry, 'odd', Buffer.from('{}'))
      const absent = computeDigest('sha256', Buffer.from('absent'))
      const foreign = {
        mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
        digest: absent,
        size: 9,
        urls: ['https://example.com/layer'],
      }
      const subject = { mediaType: ociManifest, digest: absent, size: 9 }
      const asText = (manifest: Buffer): string => manifest.toString()
      const manifests = {
        spaced: `\n  ${asText(manifestOf(config))}\n\n`,
        unknown: asText(manifestOf(config)).replace('{', '{"vendor.thing":[1,{"a":null}],'),
        foreign: asText(manifestOf(config, { layers: [foreign] })),
        subject: asText(manifestOf(config, { subject })),
        index: JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [] }),
      }
      for (const [tag, text] of Object.entries(manifests)) {
        const type = tag === 'index' ? ociIndex : ociManifest
        const headers = { 'Content-Type': `${type}; charset=utf-8` }
        const pushed = await send('PUT', `/v2/odd/manifests/${tag}`, { headers, body: text })
        assert.equal(pushed.status, 201, `${tag}: ${pushed.body.toString()}`)
        const got = await send('GET', `/v2/odd/manifests/${tag}`)
        assert.equal(got.body.toString(), text)
        assert.equal(got.headers['content-type'], type)
      }
    })

    test('Manifests: a blob or child manifest that is absent → `MANIFEST_BLOB_UNKNOWN` naming each', async () => {
      const config = await pushBlob(registry, 'absent', Buffer.from('{}'))
      const missing = [1, 2].map((n) => computeDigest('sha256', Buffer.from([n])))
      const layers = missing.map((each) => ({ mediaType: 'application/octet-stream', digest: each, size: 1 }))
      const children = missing.map((each) => ({ mediaType: ociManifest, digest: each, size: 1 }))
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: children }))
      for (const [type, body] of [
        [ociManifest, manifestOf(config, { layers })],
        [ociIndex, index],
      ] as const) {
        const answer = await send('PUT', '/v2/absent/manifests/v1', { headers: { 'Content-Type': type }, body })
        assert.equal(answer.status, 400)
        assert.deepEqual(codesOf(answer), ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'])
        for (const each of missing) assert.ok(answer.body.toString().includes(each))
      }
      assert.equal((await send('GET', '/v2/absent/manifests/v1')).status, 404)
    })

    test('Manifests: `OCI-Subject` on a push with a subject, else clients write fallback tags', async () => {
      const { digest: subject, bytes: manifest, answer } = await pushManifest(registry, 'subject', 'v1')
      assert.equal(answer.headers['oci-subject'], undefined)
      const descriptor = { mediaType: ociManifest, digest: subject, size: manifest.length }
      const referrer = await pushManifest(registry, 'subject', undefined, { subject: descriptor })
      assert.equal(referrer.answer.headers['oci-subject'], subject)
    })

    test('`PUT manifests/<digest>?tag=a&tag=b` (10 tags at least) with one `OCI-Tag` header per tag', async () => {
      const config = await pushBlob(registry, 'tags', Buffer.from('{}'))
      const manifest = manifestOf(config)
      const tags = Array.from({ length: 12 }, (_, i) => `v${i}`)
      const query = [...tags, 'v0'].map((tag) => `tag=${tag}`).join('&')
      const url = `/v2/tags/manifests/${computeDigest('sha256', manifest)}?${query}`
      const answer = await send('PUT', url, { headers: { 'Content-Type': ociManifest }, body: manifest })
      assert.equal(answer.status, 201)
      assert.deepEqual(headersNamed(answer, 'OCI-Tag'), tags)
      for (const tag of tags) assert.deepEqual((await send('GET', `/v2/tags/manifests/${tag}`)).body, manifest)
    })

    test('sha512: blobs arrive without `digest-algorithm`, or with it; manifests only by digest', async () => {
      const long = computeDigest('sha512', bytes)
      for (const query of ['', '?digest-algorithm=sha512', '?digest-algorithm=sha256']) {
        const started = await send('POST', `/v2/sha512/blobs/uploads/${query}`)
        assert.equal(started.status, 202)
        const patched = await send('PATCH', locationOf(started), { body: bytes })
        const closed = await send('PUT', `${locationOf(patched)}?digest=${long}`)
        assert.equal(closed.status, 201, closed.body.toString())
        assert.equal(closed.headers['docker-content-digest'], long)
        const got = await send('GET', locationOf(closed))
        assert.equal(createHash('sha512').update(got.body).digest('hex'), long.slice('sha512:'.length))
        await send('DELETE', locationOf(closed))
      }
      const manifest = manifestOf(await pushBlob(registry, 'sha512', Buffer.from('{}')))
      const name = computeDigest('sha512', manifest)
      const headers = { 'Content-Type': ociManifest }
      const pushed = await send('PUT', `/v2/sha512/manifests/${name}`, { headers, body: manifest })
      assert.equal(pushed.status, 201)
      assert.equal(pushed.headers['docker-content-digest'], name)
      assert.deepEqual((await send('GET', `/v2/sha512/manifests/${name}`)).body, manifest)
    })

    test('Bad or unknown digest in a URL or query: 400 `DIGEST_INVALID`', async () => {
      const location = await startUpload('bad')
      const bad = ['sha256:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e', `sha256:${'A'.repeat(64)}`, 'sha256:', ':']
      for (const each of bad.map(encodeURIComponent)) {
        const requests = [
          ['GET', `/v2/bad/blobs/${each}`],
          ['HEAD', `/v2/bad/blobs/${each}`],
          ['DELETE', `/v2/bad/blobs/${each}`],
          ['GET', `/v2/bad/manifests/${each}`],
          ['GET', `/v2/bad/referrers/${each}`],
          ['POST', `/v2/bad/blobs/uploads/?digest=${each}`],
          ['POST', `/v2/bad/blobs/uploads/?mount=${each}`],
          ['PUT', `${location}?digest=${each}`],
        ] as const
        for (const [method, url] of requests) {
          const answer = await send(method, url)
          assert.equal(answer.status, 400, `${method} ${url}`)
          if (method !== 'HEAD') assert.deepEqual(codesOf(answer), ['DIGEST_INVALID'], `${method} ${url}`)
        }
      }
      assert.deepEqual(codesOf(await send('PUT', location)), ['DIGEST_INVALID'])
      assert.deepEqual(codesOf(await send('POST', '/v2/bad/blobs/uploads/?digest-algorithm=md5')), ['DIGEST_INVALID'])
      assert.equal((await send('GET', location)).status, 204)
    })

    test('Wrong bytes: 400, and nothing is kept', async () => {
      const wrong = computeDigest('sha256', Buffer.from('other bytes'))
      const before = await registry.contents()
      const location = await startUpload('wrong')
      const opened = await registry.contents()
      const put = await send('PUT', `${location}?digest=${wrong}`, { body: bytes })
      assert.equal(put.status, 400)
      assert.deepEqual(codesOf(put), ['DIGEST_INVALID'])
      assert.deepEqual(await registry.contents(), opened)
      assert.equal((await send('DELETE', location)).status, 204)
      const post = await send('POST', `/v2/wrong/blobs/uploads/?digest=${wrong}`, { body: bytes })
      assert.deepEqual(codesOf(post), ['DIGEST_INVALID'])
      const manifest = manifestOf(await pushBlob(registry, 'wrong2', Buffer.from('{}')))
      const headers = { 'Content-Type': ociManifest }
      const put2 = await send('PUT', `/v2/wrong2/manifests/${wrong}`, { headers, body: manifest })
      assert.deepEqual(codesOf(put2), ['DIGEST_INVALID'])
      for (const name of ['wrong', 'wrong2']) {
        assert.equal((await send('HEAD', `/v2/${name}/blobs/${wrong}`)).status, 404)
        assert.equal((await send('HEAD', `/v2/${name}/manifests/${wrong}`)).status, 404)
      }
      const kept = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith('manifests/'))
      assert.deepEqual(kept(await registry.contents()), kept(before))
    })

    test('Helm puts `_` for `+` in tags and uses its own config media type; cosign still writes `.sig` tags and tries referrers', async () => {
      const config = await pushBlob(registry, 'helm', Buffer.from('{}'))
      const chart = JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', digest: config, size: 2 },
        layers: [],
      })
      const headers = { 'Content-Type': ociManifest }
      assert.equal((await send('PUT', '/v2/helm/manifests/1.2.3_build.5', { headers, body: chart })).status, 201)
      const subject = computeDigest('sha256', Buffer.from(chart))
      const signature = `/v2/helm/manifests/sha256-${subject.slice(7)}.sig`
      assert.equal((await send('PUT', signature, { headers, body: manifestOf(config) })).status, 201)
      assert.equal((await send('GET', signature)).status, 200)
      const referrers = await send('GET', `/v2/helm/referrers/${subject}`)
      assert.equal(referrers.status, 200)
      const docker = manifestOf(config).toString().replace(ociManifest, dockerManifest)
      const pushed = await send('PUT', '/v2/helm/manifests/d', {
        headers: { 'Content-Type': dockerManifest },
        body: docker,
      })
      assert.equal(pushed.status, 201)
    })
  })
}
