/** regctl against a running Berth: image copies, blobs in chunks with Content-Range, artifacts with a subject, deletes. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { digestOf } from './layout.ts'
import { attempt, run, runForBytes } from './process.ts'
import type { RunOptions } from './process.ts'
import { startProxy } from './proxy.ts'
import { assertSameContent, assertServes, getBlob, listTags, statusOf } from './served.ts'
import { createStage } from './stage.ts'

const chunkBytes = 1024 * 1024

const { scratch, berth, image, multiArch } = await createStage()
const proxy = await startProxy(berth)

describe('regctl', () => {
  before(async () => {
    const chunked = [`--blob-chunk=${chunkBytes}`, `--blob-max=${chunkBytes}`]
    await regctl(['registry', 'set', proxy.address, '--skip-check', '--tls=disabled', ...chunked])
  })
  after(async () => {
    await proxy.stop()
    await berth.stop()
  })

  const settings = (): RunOptions => ({ env: { HOME: scratch } })
  const regctl = (args: string[], options: RunOptions = {}): Promise<string> =>
    run('regctl', args, { ...settings(), ...options })
  const remote = (reference: string): string => `${proxy.address}/${reference}`

  it('copies an image in, in chunks with Content-Range, and out again', async () => {
    proxy.clear()
    await regctl(['image', 'copy', `ocidir://${image.folder}:v1`, remote('regctl/image:v1')])
    const chunks = proxy
      .exchanges()
      .filter(({ method, contentRange }) => method === 'PATCH' && contentRange !== undefined)
    assert.ok(chunks.length >= 8, `${chunks.length} chunks`)
    await assertServes(berth, 'regctl/image', 'v1', image)

    const back = join(scratch, 'back')
    await regctl(['image', 'copy', remote('regctl/image:v1'), `ocidir://${back}:v1`])
    await assertSameContent(image.folder, back, image.root.digest)
  })

  it('copies an index with its platforms in and out', async () => {
    await regctl(['image', 'copy', `ocidir://${multiArch.folder}:v1`, remote('regctl/multi:v1')])
    await assertServes(berth, 'regctl/multi', 'v1', multiArch)
    const back = join(scratch, 'multi-back')
    await regctl(['image', 'copy', remote('regctl/multi:v1'), `ocidir://${back}:v1`])
    await assertSameContent(multiArch.folder, back, multiArch.root.digest)
  })

  it('copies between repositories by mounting', async () => {
    proxy.clear()
    await regctl(['image', 'copy', remote('regctl/image:v1'), remote('regctl/copied:v1')])
    const uploads = proxy.exchanges().filter(({ method }) => method === 'POST')
    assert.ok(uploads.length > 0 && uploads.every(({ path, status }) => path.includes('mount=') && status === 201))
    await assertServes(berth, 'regctl/copied', 'v1', image)
  })

  it('puts a blob from a stream in chunks, and gets, heads and deletes it', async () => {
    const bytes = randomBytes(5 * chunkBytes + 17)
    const digest = digestOf(bytes)
    proxy.clear()
    assert.equal(await regctl(['blob', 'put', remote('regctl/blobs')], { input: bytes }), digest)
    const chunks = proxy
      .exchanges()
      .filter(({ method, contentRange }) => method === 'PATCH' && contentRange !== undefined)
    assert.ok(chunks.length >= 5, `${chunks.length} chunks`)
    assert.ok((await getBlob(berth, 'regctl/blobs', digest)).equals(bytes))
    assert.ok((await runForBytes('regctl', ['blob', 'get', remote('regctl/blobs'), digest], settings())).equals(bytes))
    await regctl(['blob', 'head', remote('regctl/blobs'), digest])
    await regctl(['blob', 'delete', remote('regctl/blobs'), digest])
    assert.equal(await statusOf(berth, `/v2/regctl/blobs/blobs/${digest}`), 404)
  })

  it('puts artifacts with a subject and finds them as referrers', async () => {
    const subject = remote('regctl/image:v1')
    for (const kind of ['sbom', 'signature']) {
      const type = `--artifact-type=application/vnd.example.${kind}`
      await regctl(['artifact', 'put', type, '--subject', subject], { input: `a ${kind}` })
    }
    const found = ['artifact', 'list', subject, '--format={{range .Descriptors}}{{println .ArtifactType}}{{end}}']
    assert.deepEqual((await regctl(found)).split('\n').sort(), [
      'application/vnd.example.sbom',
      'application/vnd.example.signature',
    ])
    const filtered = await regctl([...found, '--filter-artifact-type=application/vnd.example.sbom'])
    assert.equal(filtered, 'application/vnd.example.sbom')
    const sbom = ['artifact', 'get', '--subject', subject, '--filter-artifact-type=application/vnd.example.sbom']
    assert.equal(await regctl(sbom), 'a sbom')
    assert.deepEqual(await listTags(berth, 'regctl/image'), { name: 'regctl/image', tags: ['v1'] }, 'no fallback tags')
  })

  it('lists tags and repositories', async () => {
    await regctl(['image', 'copy', remote('regctl/image:v1'), remote('regctl/image:v2')])
    assert.equal(await regctl(['tag', 'ls', remote('regctl/image')]), 'v1\nv2')
    assert.match(await regctl(['repo', 'ls', proxy.address]), /^regctl\/image$/m)
  })

  it('deletes a tag and leaves the other, then a manifest', async () => {
    await regctl(['tag', 'rm', remote('regctl/image:v2')])
    assert.equal(await regctl(['tag', 'ls', remote('regctl/image')]), 'v1')
    await assertServes(berth, 'regctl/image', 'v1', image)
    await regctl(['manifest', 'rm', remote(`regctl/image@${image.root.digest}`)])
    assert.notEqual((await attempt('regctl', ['manifest', 'head', remote('regctl/image:v1')], settings())).code, 0)
  })
})
