/**
 * containerd against a running Berth: ctr, and the image service of CRI, which is what a kubelet asks. Pull, push, platforms, hosts.toml, a mirror, a
 * download that breaks off. Needs the sandbox of `.ci/run`.
 */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { blobStatus, reasonNotToCut } from './berth.ts'
import { unmountBelow } from './engine.ts'
import { pullImage } from './cri.ts'
import { attempt, run, startDaemon, waitUntilReady, type Daemon } from './process.ts'
import { startProxy } from './proxy.ts'
import { assertServes } from './served.ts'
import { createStage } from './stage.ts'

const { scratch, berth, image, multiArch } = await createStage()
const proxy = await startProxy(berth)

describe('containerd', () => {
  const folder = join(scratch, 'containerd')
  const socket = join(folder, 'containerd.sock')
  const hosts = join(scratch, 'hosts')
  let daemon: Daemon

  before(async () => {
    await mkdir(folder)
    for (const name of [proxy.address, 'docker.io']) {
      await mkdir(join(hosts, name), { recursive: true })
      const text = `server = "${proxy.url}"\n[host."${proxy.url}"]\n  capabilities = ["pull", "resolve"]\n`
      await writeFile(join(hosts, name, 'hosts.toml'), text)
    }
    const lines = [
      'version = 2',
      `root = "${join(folder, 'root')}"`,
      `state = "${join(folder, 'state')}"`,
      `[grpc]\naddress = "${socket}"`,
      `[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "${hosts}"`,
    ]
    await writeFile(join(folder, 'config.toml'), lines.join('\n'))
    daemon = startDaemon('containerd', ['--config', join(folder, 'config.toml')])
    await waitUntilReady('containerd', daemon, async () => (await attempt('ctr', ['-a', socket, 'version'])).code === 0)
    await run('skopeo', [
      '--insecure-policy',
      'copy',
      '--dest-tls-verify=false',
      `oci:${image.folder}:v1`,
      source('image'),
    ])
    const all = ['--insecure-policy', 'copy', '--all', '--dest-tls-verify=false']
    await run('skopeo', [...all, `oci:${multiArch.folder}:v1`, source('multi')])
  })
  after(async () => {
    await daemon.stop()
    await unmountBelow(folder)
    await proxy.stop()
    await berth.stop()
  })

  const source = (name: string): string => `docker://${berth.address}/library/${name}:v1`
  const remote = (reference: string): string => `${proxy.address}/${reference}`
  const ctr = (...args: string[]): Promise<string> =>
    run('ctr', ['--address', socket, '--namespace', 'test', 'images', ...args])

  it('pulls and pushes an image', async () => {
    await ctr('pull', '--plain-http', remote('library/image:v1'))
    await ctr('tag', remote('library/image:v1'), remote('containerd/image:v2'))
    await ctr('push', '--plain-http', remote('containerd/image:v2'))
    await assertServes(berth, 'containerd/image', 'v2', image)
  })

  it('pulls and pushes all platforms', async () => {
    await ctr('pull', '--plain-http', '--all-platforms', remote('library/multi:v1'))
    await ctr('tag', remote('library/multi:v1'), remote('containerd/multi:v2'))
    await ctr('push', '--plain-http', remote('containerd/multi:v2'))
    await assertServes(berth, 'containerd/multi', 'v2', multiArch)
  })

  it('goes on where a download broke off', { skip: reasonNotToCut }, async () => {
    await forget()
    proxy.clear()
    proxy.cutNextBlob(4 * 1024 * 1024)
    await ctr('pull', '--hosts-dir', hosts, remote('library/image:v1'))
    const resumed = proxy.exchanges().filter(({ range }) => /^bytes=[1-9]\d*-$/.test(range ?? ''))
    assert.deepEqual(
      resumed.map(({ status }) => status),
      [206],
    )
  })

  it('pulls through a mirror of docker.io, which it tells the name it means', async () => {
    await forget()
    proxy.clear()
    await ctr('pull', '--hosts-dir', hosts, 'docker.io/library/image:v1')
    assert.ok(proxy.exchanges().some(({ path }) => path === '/v2/library/image/manifests/v1?ns=docker.io'))
    assert.ok(proxy.exchanges().every(({ status }) => status === 200 || status === blobStatus))
  })

  it('pulls for a kubelet, by tag, by digest and from a mirror', async () => {
    await forget()
    proxy.clear()
    for (const name of [
      remote('library/image:v1'),
      remote(`library/image@${image.root.digest}`),
      'docker.io/library/image:v1',
    ]) {
      assert.match(await pullImage(socket, name), /^sha256:[0-9a-f]{64}$/)
    }
    const blobs = proxy.exchanges().filter(({ path, status }) => path.includes('/blobs/') && status < 400)
    assert.equal(blobs.length, 4, 'the config and three layers')
    assert.ok(blobs.some(({ status }) => status === blobStatus))
    await assert.rejects(pullImage(socket, remote('library/image:none')), /not found/)
  })

  async function forget(): Promise<void> {
    const names = await ctr('list', '--quiet')
    await ctr('remove', '--sync', ...names.split('\n'))
  }
})
