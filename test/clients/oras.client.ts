/** oras against a running Berth: artifacts pushed, attached, discovered, copied with their referrers, deleted. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import * as v from 'valibot'
import { startBerth } from './berth.ts'
import type { Registry } from './berth.ts'
import { digestOf, parseManifest } from './layout.ts'
import { attempt, run, runForBytes } from './process.ts'
import type { RunOptions } from './process.ts'
import { createScratch } from './scratch.ts'
import { getBlob, getManifest, listTags, statusOf } from './served.ts'

const discovered = v.object({ referrers: v.array(v.object({ artifactType: v.string(), digest: v.string() })) })

describe('oras', () => {
  const scratch = createScratch()
  let berth: Registry
  const payload = randomBytes(6 * 1024 * 1024)

  before(async () => {
    berth = await startBerth()
    await writeFile(join(scratch, 'payload.bin'), payload)
    await writeFile(join(scratch, 'sbom.json'), '{"sbom":true}')
    await writeFile(join(scratch, 'signature.txt'), 'signed')
  })
  after(() => berth.stop())

  const settings = (): RunOptions => ({ cwd: scratch, env: { HOME: scratch } })
  const oras = (...args: string[]): Promise<string> => run('oras', args, settings())
  const remote = (reference: string): string => `${berth.address}/${reference}`

  it('pushes a file and pulls the same bytes', async () => {
    const file = 'payload.bin:application/vnd.example.data'
    await oras('push', '--plain-http', '--artifact-type=application/vnd.example', remote('oras/thing:v1'), file)
    const { bytes } = await getManifest(berth, 'oras/thing', 'v1')
    const [layer] = parseManifest(bytes).layers
    assert.equal(layer?.digest, digestOf(payload))
    assert.ok((await getBlob(berth, 'oras/thing', digestOf(payload))).equals(payload))

    await mkdir(join(scratch, 'pulled'))
    await oras('pull', '--plain-http', '--output=pulled', remote('oras/thing:v1'))
    assert.ok((await readFile(join(scratch, 'pulled', 'payload.bin'))).equals(payload))
  })

  it('attaches two artifacts by digest and discovers them, without fallback tags', async () => {
    await attach('sbom', 'sbom.json')
    await attach('signature', 'signature.txt')
    const { referrers } = await discover('oras/thing:v1')
    const types = referrers.map(({ artifactType }) => artifactType).sort()
    assert.deepEqual(types, ['application/vnd.example.sbom', 'application/vnd.example.signature'])
    const { referrers: sboms } = await discover('oras/thing:v1', '--artifact-type=application/vnd.example.sbom')
    assert.equal(sboms.length, 1)
    assert.deepEqual(await listTags(berth, 'oras/thing'), { name: 'oras/thing', tags: ['v1'] })
  })

  it('copies to another repository with all referrers', async () => {
    const plain = ['--from-plain-http', '--to-plain-http']
    await oras('copy', '--recursive', ...plain, remote('oras/thing:v1'), remote('oras/copied:v1'))
    assert.equal((await discover('oras/copied:v1')).referrers.length, 2)
    const [from, to] = [await getManifest(berth, 'oras/thing', 'v1'), await getManifest(berth, 'oras/copied', 'v1')]
    assert.ok(from.bytes.equals(to.bytes))
    assert.ok((await getBlob(berth, 'oras/copied', digestOf(payload))).equals(payload))
  })

  it('copies to an OCI layout and back', async () => {
    await oras('copy', '--from-plain-http', '--to-oci-layout', remote('oras/thing:v1'), 'layout:v1')
    await oras('copy', '--from-oci-layout', '--to-plain-http', 'layout:v1', remote('oras/again:v1'))
    const [from, to] = [await getManifest(berth, 'oras/thing', 'v1'), await getManifest(berth, 'oras/again', 'v1')]
    assert.equal(from.digest, to.digest)
  })

  it('tags several at once and lists tags and repositories', async () => {
    await oras('tag', '--plain-http', remote('oras/thing:v1'), 'v2', 'v3')
    assert.equal(await oras('repo', 'tags', '--plain-http', remote('oras/thing')), 'v1\nv2\nv3')
    assert.equal(await oras('repo', 'ls', '--plain-http', berth.address), 'oras/again\noras/copied\noras/thing')
  })

  it('fetches and pushes a blob and a manifest', async () => {
    const blob = remote(`oras/thing@${digestOf(payload)}`)
    const args = ['blob', 'fetch', '--plain-http', '--output=-', blob]
    assert.ok((await runForBytes('oras', args, settings())).equals(payload))
    await oras('blob', 'push', '--plain-http', remote('oras/blobs'), 'payload.bin')
    assert.equal(await statusOf(berth, `/v2/oras/blobs/blobs/${digestOf(payload)}`), 200)
    const { bytes } = await getManifest(berth, 'oras/thing', 'v1')
    assert.equal(await oras('manifest', 'fetch', '--plain-http', remote('oras/thing:v1')), bytes.toString())
  })

  it('deletes a referrer, which is discovered no more, and a manifest and a blob', async () => {
    const [referrer] = (await discover('oras/thing:v1')).referrers
    await oras('manifest', 'delete', '--force', '--plain-http', remote(`oras/thing@${referrer?.digest}`))
    assert.equal((await discover('oras/thing:v1')).referrers.length, 1)
    await oras('manifest', 'delete', '--force', '--plain-http', remote('oras/again:v1'))
    assert.equal(await statusOf(berth, '/v2/oras/again/manifests/v1'), 404)
    await oras('blob', 'delete', '--force', '--plain-http', remote(`oras/blobs@${digestOf(payload)}`))
    assert.equal(await statusOf(berth, `/v2/oras/blobs/blobs/${digestOf(payload)}`), 404)
    const missing = await attempt('oras', ['manifest', 'fetch', '--plain-http', remote('oras/again:v1')], settings())
    assert.notEqual(missing.code, 0)
    assert.match(missing.stderr, /not found/)
  })

  function attach(kind: string, file: string): Promise<string> {
    const type = `--artifact-type=application/vnd.example.${kind}`
    return oras('attach', '--plain-http', type, remote('oras/thing:v1'), file)
  }

  async function discover(reference: string, ...more: string[]): Promise<v.InferOutput<typeof discovered>> {
    const text = await oras('discover', '--plain-http', '--format=json', ...more, remote(reference))
    return v.parse(discovered, JSON.parse(text))
  }
})
