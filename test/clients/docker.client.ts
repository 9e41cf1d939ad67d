/**
 * Docker Engine (classic image store) and the containerd below it against a running Berth: build, push, pull, run, push again, mount,
 * several platforms, digests, errors, a download that breaks off. Needs the sandbox of `.ci/run`.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import * as v from 'valibot'
import { reasonNotToCut, startBerth } from './berth.ts'
import type { Registry } from './berth.ts'
import { createBuildContext, startEngine } from './engine.ts'
import type { Engine } from './engine.ts'
import { digestOf, parseManifest } from './layout.ts'
import { attempt, run } from './process.ts'
import { startProxy } from './proxy.ts'
import type { Exchange, Proxy } from './proxy.ts'
import { createScratch } from './scratch.ts'
import { getBlob, getManifest, statusOf } from './served.ts'

const mebibyte = 1024 * 1024

describe('docker', () => {
  const scratch = createScratch()
  let berth: Registry
  let proxy: Proxy
  let engine: Engine
  let context: string

  before(async () => {
    berth = await startBerth()
    proxy = await startProxy(berth)
    engine = await startEngine(join(scratch, 'engine'))
    const files = [8 * mebibyte, mebibyte, 1000, 1].map((size) => randomBytes(size))
    context = await createBuildContext(join(scratch, 'hello'), 'hello from berth', files)
  })
  after(async () => {
    await engine.stop()
    await proxy.stop()
    await berth.stop()
  })

  const remote = (reference: string): string => `${berth.address}/${reference}`
  const proxied = (reference: string): string => `${proxy.address}/${reference}`
  const inspect = (image: string, format: string): Promise<string> =>
    engine.docker('image', 'inspect', `--format=${format}`, image)
  const runImage = (image: string): Promise<string> => engine.docker('run', '--rm', '--network=none', image)

  it('pushes a built image, pulls it into an engine that lost it, and runs it', async () => {
    const image = remote('team/hello:1')
    await engine.docker('build', '--tag', image, context)
    const [id, layers] = await Promise.all([inspect(image, '{{.Id}}'), inspect(image, '{{json .RootFS.Layers}}')])
    const pushed = await engine.docker('push', image)

    const served = await getManifest(berth, 'team/hello', '1')
    assert.match(pushed, new RegExp(`digest: ${served.digest} `))
    const manifest = parseManifest(served.bytes)
    assert.equal(manifest.config?.digest, id)
    const blobs = await Promise.all(manifest.layers.map(({ digest }) => getBlob(berth, 'team/hello', digest)))
    assert.deepEqual(
      blobs.map((bytes) => digestOf(bytes)),
      manifest.layers.map(({ digest }) => digest),
    )
    assert.deepEqual(
      blobs.map((bytes) => digestOf(gunzipSync(bytes))),
      v.parse(v.array(v.string()), JSON.parse(layers)),
    )

    await engine.forgetImages()
    assert.equal(await engine.docker('image', 'ls', '--quiet'), '')
    await engine.docker('pull', image)
    assert.equal(await inspect(image, '{{.Id}}'), id)
    assert.equal(await runImage(image), 'hello from berth')
  })

  it('pulls by digest', async () => {
    const { digest } = await getManifest(berth, 'team/hello', '1')
    await engine.docker('pull', remote(`team/hello@${digest}`))
    assert.equal(await runImage(remote(`team/hello@${digest}`)), 'hello from berth')
  })

  it('asks one HEAD when a tag has not moved', async () => {
    await engine.docker('pull', proxied('team/hello:1'))
    proxy.clear()
    assert.match(await engine.docker('pull', proxied('team/hello:1')), /Image is up to date/)
    assert.deepEqual(proxy.exchanges().map(summary), ['GET /v2/ 200', 'HEAD /v2/team/hello/manifests/1 200'])
  })

  it('uploads nothing when it pushes the same image again', async () => {
    await engine.docker('tag', remote('team/hello:1'), proxied('team/again:1'))
    await engine.docker('push', proxied('team/again:1'))
    proxy.clear()
    const output = await engine.docker('push', proxied('team/again:1'))
    assert.match(output, /Layer already exists/)
    const changes = proxy.exchanges().filter(({ method }) => method !== 'GET' && method !== 'HEAD')
    assert.deepEqual(changes.map(summary), ['PUT /v2/team/again/manifests/1 201'])
  })

  it('mounts the layers of a sibling repository instead of uploading them', async () => {
    await engine.docker('tag', remote('team/hello:1'), proxied('team/sibling:1'))
    proxy.clear()
    assert.match(await engine.docker('push', proxied('team/sibling:1')), /Mounted from team\//)
    const uploads = proxy.exchanges().filter(({ method }) => method === 'POST')
    const mounted = uploads.filter(({ path, status }) => path.includes('mount=') && status === 201)
    const { layers } = parseManifest((await getManifest(berth, 'team/sibling', '1')).bytes)
    assert.equal(mounted.length, layers.length)
    assert.equal(uploads.length, layers.length + 1, 'only the config is uploaded')
  })

  it('pushes a manifest list and pulls the image of its platform', async () => {
    for (const arch of ['amd64', 'arm64']) {
      const built = await createBuildContext(join(scratch, arch), `I am ${arch}`, [randomBytes(1000)])
      await engine.docker('build', '--tag', remote(`team/multi:${arch}`), built)
      await engine.docker('push', remote(`team/multi:${arch}`))
    }
    const [list, amd64, arm64] = ['list', 'amd64', 'arm64'].map((tag) => remote(`team/multi:${tag}`))
    assert.ok(list !== undefined && amd64 !== undefined && arm64 !== undefined)
    await engine.docker('manifest', 'create', '--insecure', list, amd64, arm64)
    await engine.docker('manifest', 'annotate', '--arch=arm64', list, arm64)
    const digest = await engine.docker('manifest', 'push', '--insecure', list)
    const served = await getManifest(berth, 'team/multi', 'list')
    assert.equal(served.digest, digest)
    assert.equal(served.mediaType, 'application/vnd.docker.distribution.manifest.list.v2+json')
    assert.match(await engine.docker('manifest', 'inspect', '--insecure', list), /"arm64"/)

    await engine.docker('image', 'rm', '--force', amd64, arm64)
    await engine.docker('pull', list)
    assert.equal(await runImage(list), 'I am amd64')
  })

  it('goes on where a download broke off', { skip: reasonNotToCut }, async () => {
    const { layers } = parseManifest((await getManifest(berth, 'team/hello', '1')).bytes)
    const big = layers.find(({ size }) => size > 4 * mebibyte)
    await engine.forgetImages()
    proxy.clear()
    proxy.cutNextBlob(4 * mebibyte)
    await engine.docker('pull', proxied('team/hello:1'))
    const answers = proxy.exchanges().filter(({ path }) => path.endsWith(`/blobs/${big?.digest}`))
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 206],
    )
    assert.match(answers[1]?.range ?? '', /^bytes=[1-9]\d*-$/)
    assert.equal(await runImage(proxied('team/hello:1')), 'hello from berth')
  })

  it('shows the error of the registry when there is no such tag or repository', async () => {
    for (const image of [remote('team/hello:missing'), remote('nobody/nothing:1')]) {
      const { code, stderr } = await attempt('docker', ['pull', image], { env: engine.env })
      assert.notEqual(code, 0)
      assert.match(stderr, /(manifest|name) unknown/)
    }
  })

  it('builds with BuildKit on an image that only the registry has', async () => {
    await engine.docker('image', 'rm', '--force', proxied('team/hello:1'))
    const dockerfile = `FROM ${remote('team/hello:1')}\nRUN echo built >/built\nCMD ["cat", "/built"]\n`
    // The command line of Debian's package carries BuildKit's client; newer ones want a plugin for it.
    await run('/usr/bin/docker', ['build', '--network=none', '--tag', remote('team/derived:1'), '-'], {
      env: { ...engine.env, DOCKER_BUILDKIT: '1' },
      input: dockerfile,
    })
    await engine.docker('push', remote('team/derived:1'))
    assert.equal(await runImage(remote('team/derived:1')), 'built')
  })

  it('is pulled and pushed by containerd', async () => {
    const ctr = (...args: string[]): Promise<string> =>
      run('ctr', ['--address', engine.containerdSocket, '--namespace', 'test', 'images', ...args])
    await ctr('pull', '--plain-http', remote('team/hello:1'))
    await ctr('tag', remote('team/hello:1'), remote('containerd/hello:2'))
    await ctr('push', '--plain-http', remote('containerd/hello:2'))
    const [from, to] = await Promise.all([
      getManifest(berth, 'team/hello', '1'),
      getManifest(berth, 'containerd/hello', '2'),
    ])
    assert.ok(from.bytes.equals(to.bytes))
    for (const { digest } of parseManifest(to.bytes).layers) {
      assert.equal(digestOf(await getBlob(berth, 'containerd/hello', digest)), digest)
    }
  })

  it('finds nothing to pull after a DELETE', async () => {
    const { digest } = await getManifest(berth, 'team/hello', '1')
    await fetch(`${berth.url}/v2/team/hello/manifests/${digest}`, { method: 'DELETE' })
    assert.equal(await statusOf(berth, '/v2/team/hello/manifests/1'), 404)
    assert.notEqual((await attempt('docker', ['pull', remote('team/hello:1')], { env: engine.env })).code, 0)
  })
})

function summary({ method, path, status }: Exchange): string {
  return `${method} ${path} ${status}`
}
