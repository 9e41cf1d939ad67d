/** crane against a running Berth: push, pull, copy, append, tag, list, validate, delete. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parseManifest, readRoot } from './layout.ts'
import { attempt, run } from './process.ts'
import { assertSameContent, assertServes, getManifest, listTags, statusOf } from './served.ts'
import { createStage } from './stage.ts'

const { scratch, berth, image, multiArch } = await createStage()

describe('crane', () => {
  after(() => berth.stop())

  const crane = (...args: string[]): Promise<string> =>
    run('crane', ['--insecure', ...args], { env: { HOME: scratch } })
  const remote = (reference: string): string => `${berth.address}/${reference}`

  it('pushes an OCI layout and pulls the same bytes', async () => {
    const pushed = await crane('push', image.folder, remote('crane/image:v1'))
    assert.equal(pushed, remote(`crane/image@${image.root.digest}`))
    await assertServes(berth, 'crane/image', 'v1', image)

    const back = join(scratch, 'back')
    await crane('pull', '--format=oci', remote('crane/image:v1'), back)
    assert.equal((await readRoot(back)).digest, image.root.digest)
    await assertSameContent(image.folder, back, image.root.digest)
  })

  it('pushes and pulls an index with its platforms', async () => {
    await crane('push', '--index', multiArch.folder, remote('crane/multi:v1'))
    const { manifests } = parseManifest((await getManifest(berth, 'crane/multi', 'v1')).bytes)
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [multiArch.root.digest],
    )
    await assertServes(berth, 'crane/multi', multiArch.root.digest, multiArch)

    const back = join(scratch, 'multi-back')
    await crane('pull', '--format=oci', remote(`crane/multi@${multiArch.root.digest}`), back)
    await assertSameContent(multiArch.folder, back, multiArch.root.digest)
  })

  it('reads a digest, a manifest, a config and a blob', async () => {
    assert.equal(await crane('digest', remote('crane/image:v1')), image.root.digest)
    const { bytes } = await getManifest(berth, 'crane/image', 'v1')
    assert.equal(await crane('manifest', remote('crane/image:v1')), bytes.toString())
    assert.match(await crane('config', remote('crane/image:v1')), /"rootfs"/)
    const [layer] = parseManifest(bytes).layers
    await crane('blob', remote(`crane/image@${layer?.digest}`))
  })

  it('copies to another repository by mounting', async () => {
    await crane('copy', remote(`crane/multi@${multiArch.root.digest}`), remote('crane/copied:v1'))
    await assertServes(berth, 'crane/copied', 'v1', multiArch)
  })

  it('tags, lists tags and lists repositories', async () => {
    await crane('tag', remote('crane/image:v1'), 'v2')
    assert.equal(await crane('ls', remote('crane/image')), 'v1\nv2')
    assert.equal(await crane('catalog', berth.address), 'crane/copied\ncrane/image\ncrane/multi')
  })

  it('appends a layer to an image that is there', async () => {
    await writeFile(join(scratch, 'more'), 'more')
    await run('tar', ['-cf', join(scratch, 'more.tar'), '-C', scratch, 'more'])
    const layer = join(scratch, 'more.tar')
    await crane('append', '-b', remote('crane/image:v1'), '-f', layer, '-t', remote('crane/appended:v1'))
    const { layers } = parseManifest((await getManifest(berth, 'crane/appended', 'v1')).bytes)
    assert.equal(layers.length, 4)
  })

  it('validates every layer of what it pushed', async () => {
    for (const reference of ['crane/image:v1', 'crane/copied:v1', 'crane/appended:v1']) {
      assert.match(await crane('validate', '--remote', remote(reference)), /^PASS/)
    }
  })

  it('deletes a tag, then a manifest', async () => {
    await crane('delete', remote('crane/image:v2'))
    assert.deepEqual(await listTags(berth, 'crane/image'), { name: 'crane/image', tags: ['v1'] })
    await crane('delete', remote(`crane/image@${image.root.digest}`))
    assert.equal(await statusOf(berth, '/v2/crane/image/manifests/v1'), 404)
    const { code, stderr } = await attempt('crane', ['--insecure', 'manifest', remote('crane/image:v1')])
    assert.notEqual(code, 0)
    assert.match(stderr, /MANIFEST_UNKNOWN/)
  })
})
