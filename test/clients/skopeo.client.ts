/** skopeo against a running Berth: copy both ways and between repositories, several platforms, list, inspect, sync, delete. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import * as v from 'valibot'
import { readRoot } from './layout.ts'
import { attempt, run } from './process.ts'
import { assertSameContent, assertServes, getManifest, statusOf } from './served.ts'
import { createStage } from './stage.ts'

const { scratch, berth, image, multiArch } = await createStage()

describe('skopeo', () => {
  after(() => berth.stop())

  /** Plain HTTP, and neither settings nor a cache of blob locations of the machine's. */
  const skopeo = (...args: string[]): Promise<string> => run('skopeo', ['--insecure-policy', ...args], { env: home() })
  const home = (): Record<string, string> => ({ HOME: scratch, REGISTRY_AUTH_FILE: join(scratch, 'auth.json') })
  const remote = (reference: string): string => `docker://${berth.address}/${reference}`
  const push = (from: string, reference: string, ...more: string[]): Promise<string> =>
    skopeo('copy', '--dest-tls-verify=false', ...more, from, remote(reference))
  const pull = (reference: string, to: string, ...more: string[]): Promise<string> =>
    skopeo('copy', '--src-tls-verify=false', ...more, remote(reference), to)

  it('pushes an OCI layout and pulls the same bytes', async () => {
    await push(`oci:${image.folder}:v1`, 'skopeo/image:v1')
    await assertServes(berth, 'skopeo/image', 'v1', image)

    const back = join(scratch, 'back')
    await pull('skopeo/image:v1', `oci:${back}:v1`)
    assert.equal((await readRoot(back)).digest, image.root.digest)
    await assertSameContent(image.folder, back, image.root.digest)
  })

  it('pushes a docker archive, which it compresses on the way', async () => {
    const archive = join(scratch, 'image.tar')
    await skopeo('copy', `oci:${image.folder}:v1`, `docker-archive:${archive}:x/y:1`)
    await push(`docker-archive:${archive}`, 'skopeo/archive:v1')
    const { mediaType } = await getManifest(berth, 'skopeo/archive', 'v1')
    assert.equal(mediaType, 'application/vnd.docker.distribution.manifest.v2+json')
    await pull('skopeo/archive:v1', `dir:${await emptyFolder('archive-back')}`)
  })

  it('copies all platforms of an index both ways', async () => {
    await push(`oci:${multiArch.folder}:v1`, 'skopeo/multi:v1', '--all')
    await assertServes(berth, 'skopeo/multi', 'v1', multiArch)

    const back = join(scratch, 'multi-back')
    await pull('skopeo/multi:v1', `oci:${back}:v1`, '--all')
    await assertSameContent(multiArch.folder, back, multiArch.root.digest)
  })

  it('copies from one repository to another without moving bytes', async () => {
    const tls = ['--src-tls-verify=false', '--dest-tls-verify=false']
    await skopeo('copy', ...tls, '--all', remote('skopeo/multi:v1'), remote('skopeo/copied:v2'))
    await assertServes(berth, 'skopeo/copied', 'v2', multiArch)
  })

  it('lists tags and inspects', async () => {
    await push(`oci:${image.folder}:v1`, 'skopeo/image:v2')
    const tags = await skopeo('list-tags', '--tls-verify=false', remote('skopeo/image'))
    assert.deepEqual(v.parse(v.object({ Tags: v.array(v.string()) }), JSON.parse(tags)).Tags, ['v1', 'v2'])
    const about = await skopeo('inspect', '--tls-verify=false', remote('skopeo/image:v1'))
    const { Digest, Layers } = v.parse(v.object({ Digest: v.string(), Layers: v.array(v.string()) }), JSON.parse(about))
    assert.equal(Digest, image.root.digest)
    assert.equal(Layers.length, 3)
  })

  it('syncs a repository to a folder and back under another name', async () => {
    const folder = await emptyFolder('sync')
    await skopeo(
      'sync',
      '--src-tls-verify=false',
      '--src=docker',
      '--dest=dir',
      `${berth.address}/skopeo/image`,
      folder,
    )
    await skopeo('sync', '--dest-tls-verify=false', '--src=dir', '--dest=docker', folder, `${berth.address}/synced`)
    await assertServes(berth, 'synced/image', 'v2', image)
  })

  it('deletes a manifest, with all its tags', async () => {
    await skopeo('delete', '--tls-verify=false', remote('skopeo/image:v1'))
    for (const reference of ['v1', 'v2', image.root.digest]) {
      assert.equal(await statusOf(berth, `/v2/skopeo/image/manifests/${reference}`), 404)
    }
    const { code, stderr } = await attempt('skopeo', ['inspect', '--tls-verify=false', remote('skopeo/image:v1')])
    assert.notEqual(code, 0)
    assert.match(stderr, /manifest unknown/)
  })

  async function emptyFolder(name: string): Promise<string> {
    const folder = join(scratch, name)
    await mkdir(folder)
    return folder
  }
})
