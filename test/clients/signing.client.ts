/** cosign and notation against a running Berth: what they sign is found again, through referrers and through tags. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { attempt, run } from './process.ts'
import { getManifest, listTags } from './served.ts'
import { createStage } from './stage.ts'

const { scratch, berth, image } = await createStage()

describe('signatures', () => {
  const subject = `${berth.address}/signed/image@${image.root.digest}`
  const env = { HOME: scratch, XDG_CONFIG_HOME: join(scratch, 'config'), COSIGN_PASSWORD: 'secret' }

  before(async () => {
    await run('notation', ['cert', 'generate-test', '--default', 'berth.test'], { env })
    const push = ['--insecure-policy', 'copy', '--dest-tls-verify=false', `oci:${image.folder}:v1`]
    await run('skopeo', [...push, `docker://${berth.address}/signed/image:v1`])
    await run('skopeo', [...push, `docker://${berth.address}/signed/other:v1`])
  })
  after(() => berth.stop())

  const cosign = (...args: string[]): Promise<string> => run('cosign', args, { env, cwd: scratch })
  const notation = (...args: string[]): Promise<string> => run('notation', args, { env, cwd: scratch })
  const plain = '--allow-http-registry'

  it('cosign signs an image and verifies it; another image is not signed', async () => {
    await cosign('generate-key-pair')
    await cosign('sign', '--yes', '--key=cosign.key', '--tlog-upload=false', plain, subject)
    const verify = ['verify', '--key=cosign.pub', '--insecure-ignore-tlog=true', plain]
    assert.match(await cosign(...verify, subject), new RegExp(image.root.digest))
    const other = `${berth.address}/signed/other@${image.root.digest}`
    assert.notEqual((await attempt('cosign', [...verify, other], { env, cwd: scratch })).code, 0)
  })

  // By default it writes the tag that registries without referrers need; both ways must be found.
  for (const [repository, way] of [
    ['image', '--force-referrers-tag=false'],
    ['other', '--force-referrers-tag=true'],
  ] as const) {
    it(`notation signs an image with ${way} and lists the signature`, async () => {
      const signed = `${berth.address}/signed/${repository}@${image.root.digest}`
      await notation('sign', '--insecure-registry', way, signed)
      const listed = await notation('ls', '--insecure-registry', signed)
      const [signature = ''] = /sha256:[0-9a-f]{64}/.exec(listed.slice(listed.indexOf('notary.signature'))) ?? []
      const { bytes } = await getManifest(berth, `signed/${repository}`, signature)
      assert.match(bytes.toString(), new RegExp(`"subject":.*${image.root.digest}`))
      const tags = JSON.stringify(await listTags(berth, `signed/${repository}`))
      assert.equal(tags.includes(`"${image.root.digest.replace(':', '-')}"`), way.endsWith('true'))
    })
  }
})
