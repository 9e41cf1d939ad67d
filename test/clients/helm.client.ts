/** helm against a running Berth: a chart is pushed, shown, pulled and rendered from the registry. */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startBerth } from './berth.ts'
import type { Registry } from './berth.ts'
import { attempt, run } from './process.ts'
import { createScratch } from './scratch.ts'
import { getManifest, listTags } from './served.ts'

describe('helm', () => {
  const scratch = createScratch()
  let berth: Registry

  before(async () => {
    berth = await startBerth()
    await mkdir(join(scratch, 'chart', 'templates'), { recursive: true })
    const template =
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  said: {{ .Values.said }}\n'
    await writeFile(join(scratch, 'chart', 'templates', 'map.yaml'), template)
    await writeFile(join(scratch, 'chart', 'values.yaml'), 'said: hello\n')
  })
  after(() => berth.stop())

  const settings = { cwd: scratch, env: { HOME: scratch } }
  const helm = (...args: string[]): Promise<string> => run('helm', args, settings)
  const chart = (): string => `oci://${berth.address}/charts/hello`

  it('pushes versions of a chart', async () => {
    for (const version of ['1.0.0', '1.1.0+build.5']) {
      await writeFile(join(scratch, 'chart', 'Chart.yaml'), `apiVersion: v2\nname: hello\nversion: ${version}\n`)
      await helm('package', 'chart')
      await helm('push', '--plain-http', `hello-${version}.tgz`, `oci://${berth.address}/charts`)
    }
    // A tag has no plus: helm writes an underscore.
    assert.deepEqual(await listTags(berth, 'charts/hello'), { name: 'charts/hello', tags: ['1.0.0', '1.1.0_build.5'] })
    const { bytes } = await getManifest(berth, 'charts/hello', '1.0.0')
    assert.match(bytes.toString(), /application\/vnd\.cncf\.helm\.config\.v1\+json/)
  })

  it('pulls the same bytes, and finds the newest version by itself', async () => {
    await mkdir(join(scratch, 'back'))
    await helm('pull', '--plain-http', '--destination=back', '--version=1.0.0', chart())
    const [pushed, pulled] = ['hello-1.0.0.tgz', 'back/hello-1.0.0.tgz'].map((name) => readFile(join(scratch, name)))
    assert.ok((await pushed)?.equals((await pulled) ?? Buffer.alloc(0)))
    assert.match(await helm('show', 'chart', '--plain-http', chart()), /version: 1\.1\.0\+build\.5/)
  })

  it('renders a chart from the registry', async () => {
    assert.match(await helm('template', 'mine', '--plain-http', '--version=^1.0.0', chart()), /said: hello/)
  })

  it('says that a version is not there', async () => {
    const { code, stderr } = await attempt('helm', ['pull', '--plain-http', '--version=9.9.9', chart()], settings)
    assert.notEqual(code, 0)
    assert.match(stderr, /not found/)
  })
})
