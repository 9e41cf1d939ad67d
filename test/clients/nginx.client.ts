/** A real nginx in front that sends the blobs (`http.accelPrefix`), with the configuration of docs/nginx.md: what a client gets is what Berth would send. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { startBerth, type Registry } from './berth.ts'
import { digestOf } from './layout.ts'
import { startNginx } from './nginx.ts'
import { startProxy, type Proxy } from './proxy.ts'
import { createScratch } from './scratch.ts'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

const bytes = randomBytes(5_000_000)
const digest = digestOf(bytes)
const empty = Buffer.alloc(0)

describe('nginx in front', () => {
  const scratch = createScratch()
  const data = join(scratch, 'data')
  let berth: Registry
  /** Between the two: what Berth answered to nginx. */
  let between: Proxy
  let nginx: Registry

  before(async () => {
    berth = await startBerth({ folder: data, env: { BERTH_HTTP_ACCEL_PREFIX: '/internal/' } })
    between = await startProxy(berth)
    nginx = await startNginx(join(scratch, 'nginx'), { ...berth, address: between.address }, data)
    for (const blob of [bytes, empty]) assert.equal((await push(nginx, blob, blob.length)).status, 201)
  })
  after(async () => {
    await nginx.stop()
    await between.stop()
    await berth.stop()
  })

  const blobPath = (of: string): string => `/v2/nginx/blobs/${of}`

  /** Asks nginx for a blob. `by` tells who sent the bytes. */
  async function ask(method: string, path: string, headers: Readonly<Record<string, string>> = {}) {
    between.clear()
    const answer = await send(nginx, method, path, headers)
    const by = between.exchanges().some(({ accelRedirect }) => accelRedirect !== undefined) ? 'nginx' : 'berth'
    return { ...answer, by }
  }

  it('sends a whole blob with the headers that Berth gave it', async () => {
    const { by, status, headers, body } = await ask('GET', blobPath(digest))
    assert.deepEqual([by, status], ['nginx', 200])
    assert.ok(body.equals(bytes))
    const { date, server, connection, ...rest } = headers
    const requestId = rest['x-request-id']
    assert.ok(date && server && connection && requestId)
    assert.deepEqual(rest, {
      'content-type': 'application/octet-stream',
      'content-length': String(bytes.length),
      'docker-content-digest': digest,
      'docker-distribution-api-version': 'registry/2.0',
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
      'x-content-type-options': 'nosniff',
      'x-request-id': requestId,
    })
  })

  it('sends an empty blob', async () => {
    const { by, status, headers, body } = await ask('GET', blobPath(digestOf(empty)))
    assert.deepEqual([by, status, headers['content-length'], body.length], ['nginx', 200, '0', 0])
  })

  for (const [range, start, end] of [
    ['bytes=0-0', 0, 1],
    ['bytes=0-', 0, bytes.length],
    ['bytes=1234567-', 1_234_567, bytes.length],
    ['bytes=100-2000099', 100, 2_000_100],
    ['bytes=4999999-9999999', 4_999_999, bytes.length],
    ['bytes=-17', bytes.length - 17, bytes.length],
    ['bytes=-9999999', 0, bytes.length],
  ] as const) {
    it(`sends the range ${range}`, async () => {
      const { by, status, headers, body } = await ask('GET', blobPath(digest), { Range: range })
      assert.deepEqual([by, status], ['nginx', 206])
      assert.equal(headers['content-range'], `bytes ${start}-${end - 1}/${bytes.length}`)
      assert.deepEqual([headers.etag, headers['docker-content-digest']], [`"${digest}"`, digest])
      assert.ok(body.equals(bytes.subarray(start, end)))
    })
  }

  const berths: readonly [what: string, status: number, headers: Readonly<Record<string, string>>, body: Buffer][] = [
    [
      'the range when If-Range names the blob',
      206,
      { Range: 'bytes=5-9', 'If-Range': `"${digest}"` },
      bytes.subarray(5, 10),
    ],
    ['the whole blob when If-Range names another', 200, { Range: 'bytes=5-9', 'If-Range': '"sha256:other"' }, bytes],
    ['the blob when If-Match names it', 200, { 'If-Match': `"${digest}"` }, bytes],
    [
      'the blob whatever date a client has',
      200,
      { 'If-Modified-Since': new Date(2_000_000_000_000).toUTCString() },
      bytes,
    ],
    ['304 when If-None-Match names it', 304, { 'If-None-Match': `"${digest}"` }, empty],
  ]
  for (const [what, status, headers, body] of berths) {
    it(`passes on what Berth says: ${what}`, async () => {
      const answer = await ask('GET', blobPath(digest), headers)
      assert.deepEqual([answer.by, answer.status, answer.headers.etag], ['berth', status, `"${digest}"`])
      assert.ok(answer.body.equals(body))
    })
  }

  it('passes on several ranges, which Berth sends', async () => {
    const { by, status, headers } = await ask('GET', blobPath(digest), { Range: 'bytes=0-9,100-109' })
    assert.deepEqual([by, status], ['berth', 206])
    assert.match(headers['content-type'] ?? '', /^multipart\/byteranges/)
  })

  it('passes on HEAD, 404 and 416 of Berth', async () => {
    const head = await ask('HEAD', blobPath(digest))
    assert.deepEqual([head.by, head.status, head.headers['content-length']], ['berth', 200, String(bytes.length)])
    assert.deepEqual([head.headers.etag, head.headers['docker-content-digest']], [`"${digest}"`, digest])
    const missing = await ask('GET', blobPath(digestOf(Buffer.from('missing'))))
    assert.deepEqual([missing.by, missing.status], ['berth', 404])
    assert.match(missing.body.toString(), /BLOB_UNKNOWN/)
    const beyond = await ask('GET', blobPath(digest), { Range: `bytes=${bytes.length}-` })
    assert.deepEqual([beyond.by, beyond.status], ['berth', 416])
    assert.equal(beyond.headers['content-range'], `bytes */${bytes.length}`)
  })

  it('leaves a blob of several chunks to Berth', async () => {
    const chunked = randomBytes(3_000_000)
    assert.equal((await push(nginx, chunked, 1_000_000)).status, 201)
    const whole = await ask('GET', blobPath(digestOf(chunked)))
    assert.deepEqual([whole.by, whole.status], ['berth', 200])
    assert.ok(whole.body.equals(chunked))
    const part = await ask('GET', blobPath(digestOf(chunked)), { Range: 'bytes=999999-1000000' })
    assert.deepEqual([part.by, part.status], ['berth', 206])
    assert.ok(part.body.equals(chunked.subarray(999_999, 1_000_001)))
  })

  it('takes no X-Accel-Redirect from a client, and shows none', async () => {
    const mine = { 'X-Accel-Redirect': '/internal/berth', 'X-Sendfile': '/etc/passwd', 'X-Accel-Mapping': '/=/etc/' }
    const { by, status, headers, body } = await ask('GET', blobPath(digest), mine)
    assert.deepEqual([by, status, headers['x-accel-redirect']], ['nginx', 200, undefined])
    assert.ok(body.equals(bytes))
    const manifest = await ask('GET', '/v2/nginx/manifests/none', mine)
    assert.deepEqual([manifest.by, manifest.status], ['berth', 404])
  })

  it('serves no path of the folder to those who ask for it', async () => {
    const [id = ''] = await readdir(join(data, 'data'))
    const [segment = ''] = await readdir(join(data, 'data', id))
    for (const path of [
      `/internal/data/${id}/${segment}`,
      '/internal/berth',
      `/v2/../internal/data/${id}/${segment}`,
    ]) {
      assert.equal((await send(nginx, 'GET', path)).status, 404, path)
    }
  })

  it('answers 404 as Berth would when the file is gone before nginx opens it', async () => {
    const doomed = randomBytes(1000)
    await push(nginx, doomed, doomed.length)
    between.beforeNextAnswer(async (answer) => {
      const path = String(answer.headers['x-accel-redirect']).replace('/internal', data)
      await rm(path)
    })
    const { by, status, headers, body } = await ask('GET', blobPath(digestOf(doomed)))
    assert.deepEqual([by, status, headers['content-type']], ['nginx', 404, 'application/json'])
    assert.match(body.toString(), /"BLOB_UNKNOWN"/)
    assert.equal(headers.etag, undefined)
  })
})

async function send(
  registry: Registry,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: Uint8Array,
): Promise<Answer> {
  const outgoing = request(registry.url, { method, path, headers, agent: false })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject)
  })
  outgoing.end(body)
  const response = await answered
  return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) }
}

/** Pushes a blob in chunks of a size. */
async function push(registry: Registry, blob: Buffer, chunkBytes: number): Promise<Answer> {
  let at = (await send(registry, 'POST', '/v2/nginx/blobs/uploads/')).headers.location ?? ''
  for (let start = 0; start < blob.length; start += chunkBytes) {
    const chunk = blob.subarray(start, start + chunkBytes)
    const range = { 'Content-Range': `${start}-${start + chunk.length - 1}` }
    const answer = await send(registry, 'PATCH', at, { ...range, 'Content-Length': String(chunk.length) }, chunk)
    at = answer.headers.location ?? ''
  }
  return send(registry, 'PUT', `${at}?digest=${digestOf(blob)}`, { 'Content-Length': '0' })
}
