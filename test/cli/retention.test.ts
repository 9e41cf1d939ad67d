import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { computeDigest } from '../../src/oci/digest.ts'
import { type Run, run, startRun } from './surroundings.ts'

let root: string
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-retention-'))
})
after(() => rm(root, { recursive: true, force: true }))

const environmentWith = (rules: string, more: Readonly<Record<string, string>> = {}) => ({
  BERTH_STORAGE_FILESYSTEM_ROOT: root,
  BERTH_HTTP_PORT: '0',
  BERTH_PULSE_PORT: '0',
  BERTH_RETENTION_RULES: rules,
  ...more,
})

async function start(environment: Readonly<Record<string, string>>): Promise<{ server: Run; url: string }> {
  const server = startRun(['serve'], { environment })
  const [, port] = await server.printed(/"port":(\d+)/)
  return { server, url: `http://127.0.0.1:${port}/v2/team/app` }
}

/** A manifest of nothing but its config, under a tag; returns the answer. */
async function push(url: string, tag: string, content: string): Promise<Response> {
  const digest = computeDigest('sha256', Buffer.from(content))
  await fetch(`${url}/blobs/uploads/?digest=${digest}`, { method: 'POST', body: content })
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: content.length }
  const body = JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [] })
  return fetch(`${url}/manifests/${tag}`, { method: 'PUT', body, headers: { 'Content-Type': mediaType } })
}

async function tagsOf(url: string): Promise<unknown> {
  const answer: unknown = await (await fetch(`${url}/tags/list`)).json()
  return typeof answer === 'object' && answer !== null && 'tags' in answer ? answer.tags : undefined
}

describe('berth retention', () => {
  it('says with --dry-run what would go and why, and removes it without, while a server runs', async () => {
    const environment = environmentWith('[{ repositories: "team/*", keepLast: 1, untagged: 1s }]', {
      BERTH_SWEEP_ENABLED: 'false',
    })
    const { server, url } = await start(environment)
    for (const tag of ['old', 'new']) {
      assert.equal((await push(url, tag, tag)).status, 201)
      await sleep(20)
    }
    const look = await run(['retention', '--dry-run'], { environment })
    assert.match(look.out, /^remove {2}team\/app:old {2}not one of the 1 pushed last \(retention\.rules\[0\]\)$/m)
    assert.match(look.out, /^keep {4}team\/app:new {2}one of the 1 pushed last \(retention\.rules\[0\]\)$/m)
    assert.match(look.out, /^The rules would remove 1 tag and 0 manifests\.$/m)
    assert.deepEqual(await tagsOf(url), ['new', 'old'])
    assert.equal(look.err, '')
    const watched = await run(['retention', '--dry-run'], { environment, isTerminal: true })
    assert.equal(watched.out, look.out)
    assert.ok(watched.err.includes(`${'░'.repeat(30)}   0 %  team/app\r\u001b[2K`), watched.err)

    const first = await run(['retention'], { environment })
    assert.equal(first.code, 0)
    assert.match(
      first.out,
      /^remove {2}team\/app:old .*\nRemoved 1 tag and 0 manifests; 1 untagged manifest not yet\.\n$/,
    )
    assert.deepEqual(await tagsOf(url), ['new'])
    await sleep(1100)
    const second = await run(['retention'], { environment })
    assert.match(second.out, /^remove {2}team\/app@sha256:[0-9a-f]{64} {2}untagged for 1s, more than 1s/)
    server.stop()
    assert.equal(await server.done, 0)
  })

  it('refuses to run without rules, and on a store in memory', async () => {
    const none = await run(['retention'], { environment: environmentWith('[]') })
    assert.deepEqual([none.code, /retention\.rules is empty/.test(none.err)], [2, true])
    const memory = environmentWith('[{ repositories: "**", keepLast: 1 }]', { BERTH_STORAGE_KIND: 'memory' })
    const refused = await run(['retention', '--dry-run'], { environment: memory })
    assert.deepEqual([refused.code, /in memory/.test(refused.err)], [2, true])
  })
})

describe('berth serve', () => {
  it('applies the rules by itself, says so in one line, and counts it', async () => {
    const { server, url } = await start(
      environmentWith('[{ repositories: "**", keepLast: 1 }]', {
        BERTH_STORAGE_KIND: 'memory',
        BERTH_RETENTION_INTERVAL: '1s',
      }),
    )
    await push(url, 'old', 'old')
    await sleep(20)
    await push(url, 'new', 'new')
    await server.printed(/"message":"retention rules applied".*"repositories":1,"tags":1,"manifests":0/)
    assert.deepEqual(await tagsOf(url), ['new'])
    const [, pulse] = await server.printed(/"pulse":\{[^}]*"port":(\d+)/)
    const metrics = await (await fetch(`http://127.0.0.1:${pulse}/metrics`)).text()
    assert.match(metrics, /^berth_retention_removed_total\{kind="tags"\} 1$/m)
    assert.match(metrics, /^berth_retention_runs_total\{outcome="done"\} \d+$/m)
    server.stop()
    assert.equal(await server.done, 0)
  })

  it('refuses to move an immutable tag with 403 and the rule, and to delete it', async () => {
    const { server, url } = await start(
      environmentWith('[]', {
        BERTH_STORAGE_KIND: 'memory',
        BERTH_REGISTRY_IMMUTABLE_TAGS: '[{ repositories: team/**, tags: v* }]',
      }),
    )
    assert.equal((await push(url, 'v1', 'one')).status, 201)
    const answer = await push(url, 'v1', 'two')
    assert.equal(answer.status, 403)
    assert.match(await answer.text(), /"DENIED".*registry\.immutableTags\[0\]: tags v\* of team\/\*\*/)
    assert.equal((await fetch(`${url}/manifests/v1`, { method: 'DELETE' })).status, 403)
    server.stop()
    assert.equal(await server.done, 0)
  })
})
