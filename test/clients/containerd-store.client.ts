/**
 * Docker Engine with containerd's store of images, and buildx, against a running Berth: indexes with attestations, a build cache kept in the registry,
 * mounts, a download that breaks off. Needs an engine of 26 or newer, so the tree of `.ci/tools newer`, and the sandbox of `.ci/run`.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startBerth } from './berth.ts'
import type { Registry } from './berth.ts'
import { createBuildContext, startEngine } from './engine.ts'
import type { Engine } from './engine.ts'
import { parseManifest } from './layout.ts'
import { attempt } from './process.ts'
import { startProxy } from './proxy.ts'
import type { Proxy } from './proxy.ts'
import { createScratch } from './scratch.ts'
import { getBlob, getManifest } from './served.ts'

describe("docker with containerd's store", () => {
  const scratch = createScratch()
  let berth: Registry
  let proxy: Proxy
  let engine: Engine
  let context: string

  before(async () => {
    berth = await startBerth()
    proxy = await startProxy(berth)
    engine = await startEngine(join(scratch, 'engine'), { 'containerd-snapshotter': true })
    const files = [8 * 1024 * 1024, 1000].map((size) => randomBytes(size))
    context = await createBuildContext(join(scratch, 'hello'), 'hello', files)
  })
  after(async () => {
    await engine.stop()
    await proxy.stop()
    await berth.stop()
  })

  const remote = (reference: string): string => `${proxy.address}/${reference}`
  const runImage = (image: string): Promise<string> => engine.docker('run', '--rm', '--network=none', image)

  it('pushes what buildx builds: an index of the image and its attestation', async () => {
    await engine.docker(
      'buildx',
      'build',
      '--push',
      '--provenance=mode=min',
      `--tag=${remote('team/hello:1')}`,
      context,
    )
    const { bytes, mediaType } = await getManifest(berth, 'team/hello', '1')
    assert.equal(mediaType, 'application/vnd.oci.image.index.v1+json')
    assert.match(bytes.toString(), /"attestation-manifest"/)
    const children = await Promise.all(
      parseManifest(bytes).manifests.map(({ digest }) => getManifest(berth, 'team/hello', digest)),
    )
    const [image, attestation] = children.map((child) => parseManifest(child.bytes))
    assert.ok((image?.layers.length ?? 0) >= 4)
    assert.deepEqual(
      attestation?.layers.map((layer) => layer.mediaType),
      ['application/vnd.in-toto+json'],
    )
    for (const { digest } of attestation?.layers ?? []) {
      assert.match((await getBlob(berth, 'team/hello', digest)).toString(), /slsa\.dev\/provenance/)
    }
  })

  it('pulls it into an engine that lost it, going on where the download broke off, and runs it', async () => {
    await engine.forgetImages()
    proxy.clear()
    proxy.cutNextBlob(4 * 1024 * 1024)
    await engine.docker('pull', remote('team/hello:1'))
    const resumed = proxy.exchanges().filter(({ range }) => /^bytes=[1-9]\d*-$/.test(range ?? ''))
    assert.deepEqual(
      resumed.map(({ status }) => status),
      [206],
    )
    assert.equal(await runImage(remote('team/hello:1')), 'hello')
  })

  it('mounts what a sibling repository has', async () => {
    // An engine of 26 pushes an index only when it has every child of it, and a pull leaves the attestation out.
    await engine.docker('buildx', 'build', '--push', '--provenance=false', `--tag=${remote('team/plain:1')}`, context)
    await engine.docker('tag', remote('team/plain:1'), remote('team/sibling:1'))
    proxy.clear()
    await engine.docker('push', remote('team/sibling:1'))
    const uploads = proxy.exchanges().filter(({ method }) => method === 'POST')
    assert.ok(uploads.length > 0)
    const mounted = uploads.filter(({ path, status }) => path.includes('mount=') && status === 201)
    assert.equal(mounted.length, uploads.length)
    await engine.forgetImages()
    assert.equal(await runImage(remote('team/sibling:1')), 'hello')
  })

  it('keeps a build cache in the registry and builds from it', async () => {
    const cache = `type=registry,ref=${remote('team/cache:1')}`
    await engine.docker('buildx', 'build', `--cache-to=${cache},mode=max`, `--tag=${remote('team/cached:1')}`, context)
    const { bytes } = await getManifest(berth, 'team/cache', '1')
    assert.match(bytes.toString(), /vnd\.buildkit\.cacheconfig\.v0/)
    await engine.forgetImages()
    const build = ['buildx', 'build', '--progress=plain', `--cache-from=${cache}`, context]
    const { code, stderr } = await attempt('docker', build, { env: engine.env })
    assert.equal(code, 0, stderr)
    assert.match(stderr, /CACHED/)
  })

  it('makes a further tag of an index with imagetools', async () => {
    await engine.docker('buildx', 'imagetools', 'create', `--tag=${remote('team/hello:2')}`, remote('team/hello:1'))
    const [one, two] = [await getManifest(berth, 'team/hello', '1'), await getManifest(berth, 'team/hello', '2')]
    assert.deepEqual(
      parseManifest(two.bytes).manifests.map(({ digest }) => digest),
      parseManifest(one.bytes).manifests.map(({ digest }) => digest),
    )
  })
})
