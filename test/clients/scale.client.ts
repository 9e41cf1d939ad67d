/** Much of everything: an image of 200 layers, a layer of 2 GiB, 20 clients that push one image at once, a download that breaks off. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, it } from 'node:test'
import { startBerth } from './berth.ts'
import type { Registry } from './berth.ts'
import { createImage, parseManifest } from './layout.ts'
import { attempt, run } from './process.ts'
import { startProxy } from './proxy.ts'
import { createScratch } from './scratch.ts'
import { assertServes, getManifest } from './served.ts'

const mebibyte = 1024 * 1024

describe('much of everything', () => {
  const scratch = createScratch()
  let berth: Registry

  before(async () => {
    berth = await startBerth()
  })
  after(() => berth.stop())

  const crane = (...args: string[]): Promise<string> =>
    run('crane', ['--insecure', ...args], { env: { HOME: scratch }, timeoutMs: 300_000 })
  const remote = (reference: string): string => `${berth.address}/${reference}`

  it('an image of 200 layers goes in and out', async () => {
    const image = await createImage(
      join(scratch, 'deep'),
      Array.from({ length: 200 }, (_, i) => i * 10),
    )
    await crane('push', image.folder, remote('much/layers:v1'))
    await assertServes(berth, 'much/layers', 'v1', image)
    assert.equal(parseManifest((await getManifest(berth, 'much/layers', 'v1')).bytes).layers.length, 200)
    const pull = ['--insecure-policy', 'copy', '--src-tls-verify=false', `docker://${remote('much/layers:v1')}`]
    await run('skopeo', [...pull, `oci:${join(scratch, 'deep-back')}:v1`], { env: { HOME: scratch } })
  })

  it('20 clients push one image at once, to one repository and to repositories of their own', async () => {
    const image = await createImage(join(scratch, 'shared'), [4_000_000, 1_000_000, 50_000])
    const names = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 'much/one' : `much/own-${i}`))
    await Promise.all(names.map((name, i) => crane('push', image.folder, remote(`${name}:v${i}`))))
    for (const [i, name] of names.entries()) await assertServes(berth, name, `v${i}`, image)
  })

  it('curl goes on where a download broke off', async () => {
    const image = await createImage(join(scratch, 'broken'), [6_000_000])
    await crane('push', image.folder, remote('much/broken:v1'))
    const [layer] = parseManifest((await getManifest(berth, 'much/broken', 'v1')).bytes).layers
    const proxy = await startProxy(berth)
    try {
      proxy.cutNextBlob(1_000_000)
      const to = join(scratch, 'layer')
      const curl = ['--fail', '--silent', '--output', to, '--continue-at', '-']
      const url = `${proxy.url}/v2/much/broken/blobs/${layer?.digest}`
      const partial = 18
      assert.equal((await attempt('curl', [...curl, url])).code, partial)
      assert.ok((await stat(to)).size < (layer?.size ?? 0))
      await run('curl', [...curl, url])
      assert.equal(await digestOfFile(to), layer?.digest)
      assert.deepEqual(
        proxy.exchanges().map(({ status }) => status),
        [200, 206],
      )
    } finally {
      await proxy.stop()
    }
  })

  it('a layer of more than 2 GiB goes in and out', async () => {
    const settings = { env: { HOME: scratch }, cwd: scratch, timeoutMs: 300_000 }
    const block = randomBytes(mebibyte)
    await pipeline(Readable.from(Array.from({ length: 2049 }, () => block)), createWriteStream(join(scratch, 'huge')))
    const digest = await digestOfFile(join(scratch, 'huge'))
    await run('oras', ['push', '--plain-http', remote('much/huge:v1'), 'huge'], settings)
    const [layer] = parseManifest((await getManifest(berth, 'much/huge', 'v1')).bytes).layers
    assert.deepEqual([layer?.digest, layer?.size], [digest, 2049 * mebibyte])
    await rm(join(scratch, 'huge'))
    await run('oras', ['pull', '--plain-http', remote('much/huge:v1')], settings)
    assert.equal(await digestOfFile(join(scratch, 'huge')), digest)
  })
})

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return `sha256:${hash.digest('hex')}`
}
