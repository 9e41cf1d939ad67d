/** podman, buildah and umoci against a running Berth: images made by each, pushed in every format, pulled, run, with several platforms. Needs the sandbox of `.ci/run`. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseManifest, readRoot } from './layout.ts'
import { attempt, run } from './process.ts'
import { assertSameContent, getManifest } from './served.ts'
import { createStage } from './stage.ts'

const { scratch, berth } = await createStage()
const docker = 'application/vnd.docker.distribution.manifest.v2+json'
const oci = 'application/vnd.oci.image.manifest.v1+json'

describe('podman, buildah and umoci', () => {
  const env: Record<string, string> = {
    HOME: scratch,
    REGISTRY_AUTH_FILE: join(scratch, 'auth.json'),
    CONTAINERS_CONF: join(scratch, 'containers.conf'),
    CONTAINERS_STORAGE_CONF: join(scratch, 'storage.conf'),
    CONTAINERS_REGISTRIES_CONF: join(scratch, 'registries.conf'),
  }
  const podman = (...args: string[]): Promise<string> => run('podman', args, { env })
  const buildah = (...args: string[]): Promise<string> => run('buildah', args, { env })
  const umoci = (...args: string[]): Promise<string> => run('umoci', args, { env, cwd: scratch })
  const remote = (reference: string): string => `${berth.address}/${reference}`
  const insecure = '--tls-verify=false'

  before(async () => {
    // The hard limits of a machine may be lower than podman's defaults, and crun wants cgroups that not every machine has.
    const limits = 'default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]'
    await writeFile(env['CONTAINERS_CONF'] ?? '', `[containers]\n${limits}\n[engine]\nruntime = "runc"\n`)
    const roots = `graphroot = "${join(scratch, 'graph')}"\nrunroot = "${join(scratch, 'run')}"`
    await writeFile(env['CONTAINERS_STORAGE_CONF'] ?? '', `[storage]\ndriver = "vfs"\n${roots}\n`)
    await writeFile(env['CONTAINERS_REGISTRIES_CONF'] ?? '', '')
    await writeFile(env['REGISTRY_AUTH_FILE'] ?? '', '{}')
    await mkdir(join(scratch, 'etc', 'containers'), { recursive: true })
    const policy = join(scratch, '.config', 'containers')
    await mkdir(policy, { recursive: true })
    await writeFile(join(policy, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}')
    const context = join(scratch, 'context')
    await mkdir(context)
    await copyFile('/bin/busybox', join(context, 'busybox'))
  })
  after(() => berth.stop())

  for (const [format, mediaType] of [
    ['oci', oci],
    ['v2s2', docker],
  ] as const) {
    it(`buildah makes an image and pushes it as ${format}; podman pulls and runs it`, async () => {
      const container = await buildah('from', 'scratch')
      await buildah('copy', container, join(scratch, 'context', 'busybox'), '/bin/busybox')
      await buildah('config', '--cmd', `["/bin/busybox","echo","hello as ${format}"]`, container)
      await buildah('commit', '--quiet', container, 'made')
      await buildah('push', insecure, `--format=${format}`, 'made', `docker://${remote(`podman/${format}:1`)}`)
      assert.equal((await getManifest(berth, `podman/${format}`, '1')).mediaType, mediaType)

      await podman('image', 'rm', '--all', '--force')
      await podman('pull', insecure, remote(`podman/${format}:1`))
      assert.equal(await runImage(`podman/${format}:1`), `hello as ${format}`)
    })
  }

  it('podman builds on an image of the registry, and pushes the result', async () => {
    await podman('image', 'rm', '--all', '--force')
    const dockerfile = `FROM ${remote('podman/oci:1')}\nCOPY busybox /copy\nCMD ["/bin/busybox","echo","built"]\n`
    await writeFile(join(scratch, 'context', 'Dockerfile'), dockerfile)
    const image = remote('podman/built:1')
    await podman('build', insecure, '--network=none', `--tag=${image}`, join(scratch, 'context'))
    await podman('push', insecure, image)
    await podman('image', 'rm', '--all', '--force')
    assert.equal(await runImage('podman/built:1'), 'built')
  })

  it('podman pushes an image compressed with zstd and pulls it back', async () => {
    const image = remote('podman/zstd:1')
    // Bytes that were never pushed: others would be found in the registry as gzip.
    await writeFile(join(scratch, 'context', 'fresh'), randomBytes(100_000))
    await writeFile(
      join(scratch, 'context', 'Dockerfile'),
      'FROM scratch\nCOPY . /bin/\nCMD ["/bin/busybox","echo","zstd"]\n',
    )
    await podman('build', '--network=none', '--squash', `--tag=${image}`, join(scratch, 'context'))
    await podman('push', insecure, '--compression-format=zstd', image)
    assert.match((await getManifest(berth, 'podman/zstd', '1')).bytes.toString(), /layer\.v1\.tar\+zstd/)
    await podman('image', 'rm', '--all', '--force')
    assert.equal(await runImage('podman/zstd:1'), 'zstd')
  })

  it('podman pushes a list of platforms, and pulls one that is not its own', async () => {
    await podman('manifest', 'create', 'list')
    for (const [arch, name] of [
      ['amd64', 'oci'],
      ['arm64', 'built'],
    ]) {
      await podman('manifest', 'add', insecure, `--arch=${arch}`, 'list', `docker://${remote(`podman/${name}:1`)}`)
    }
    await podman('manifest', 'push', insecure, '--all', 'list', `docker://${remote('podman/list:1')}`)
    const { bytes } = await getManifest(berth, 'podman/list', '1')
    assert.equal(parseManifest(bytes).manifests.length, 2)
    await podman('image', 'rm', '--all', '--force')
    await podman('pull', insecure, '--arch=arm64', remote('podman/list:1'))
  })

  it('podman searches repositories and tags', async () => {
    assert.match(await podman('search', insecure, `${berth.address}/`), /podman\/oci/)
    assert.match(await podman('search', insecure, '--list-tags', remote('podman/oci')), /podman\/oci +1/)
  })

  it('umoci makes an image that skopeo pushes and umoci unpacks after the way back', async () => {
    await umoci('init', '--layout=made')
    await umoci('new', '--image=made:v1')
    await umoci('insert', '--image=made:v1', join(scratch, 'context', 'busybox'), '/bin/busybox')
    await umoci('config', '--image=made:v1', '--config.entrypoint=/bin/busybox')
    const skopeo = (...args: string[]): Promise<string> =>
      run('skopeo', ['--insecure-policy', 'copy', ...args], { env, cwd: scratch })
    await skopeo('--dest-tls-verify=false', 'oci:made:v1', `docker://${remote('podman/umoci:v1')}`)
    await skopeo('--src-tls-verify=false', `docker://${remote('podman/umoci:v1')}`, 'oci:back:v1')
    const [made, back] = [await readRoot(join(scratch, 'made')), await readRoot(join(scratch, 'back'))]
    assert.equal(back.digest, made.digest)
    await assertSameContent(join(scratch, 'made'), join(scratch, 'back'), made.digest)
    await umoci('unpack', '--image=back:v1', 'bundle')
    assert.equal(await run(join(scratch, 'bundle', 'rootfs', 'bin', 'busybox'), ['echo', 'unpacked']), 'unpacked')
  })

  it('podman shows the error of the registry', async () => {
    const { code, stderr } = await attempt('podman', ['pull', insecure, remote('podman/none:1')], { env })
    assert.notEqual(code, 0)
    assert.match(stderr, /(manifest|name) unknown/)
  })

  function runImage(reference: string): Promise<string> {
    return podman('run', '--rm', insecure, '--network=none', remote(reference))
  }
})
