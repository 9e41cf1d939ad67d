/**
 * Two processes on one folder. `REPLICAS_ROUNDS` makes the random part longer (steps of each client, 12 without it) and `REPLICAS_SEED`
 * repeats the choices of an earlier run; the order in which the processes answer is theirs.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import * as v from 'valibot'
import { startBerth } from '../clients/berth.ts'
import type { Registry } from '../clients/berth.ts'
import { digestOf } from '../clients/layout.ts'
import { createRandom } from './random.ts'
import { createSend } from './requests.ts'
import type { Send } from './requests.ts'
import { uploadBlob, uploadWays } from './upload.ts'
import { createWorker, repositories, sharedTag } from './worker.ts'
import type { Acknowledged } from './worker.ts'

const rounds = Number(process.env['REPLICAS_ROUNDS'] ?? 12)
const seed = Number(process.env['REPLICAS_SEED'] ?? randomInt(1_000_000))
const clients = 8

describe('two processes on one folder', () => {
  let folder: string
  let processes: readonly Registry[]

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-replicas-'))
    processes = await Promise.all([startBerth({ folder }), startBerth({ folder })])
  })
  after(async () => {
    await Promise.all(processes.map((one) => one.stop()))
    await rm(folder, { recursive: true, force: true })
  })

  it('take the requests of one push in turn', async () => {
    let turn = 0
    const random = createRandom(seed)
    const send = createSend(
      () => processes[turn++ % processes.length]?.url ?? '',
      () => assert.fail('503'),
    )
    const layers = uploadWays.map((way) => ({ way, bytes: random.bytes(300_000) }))
    for (const layer of layers)
      await uploadBlob(send, random, { repository: 'turn/about', from: 'turn/other', ...layer })
    const descriptors = layers.map(({ bytes }) => ({
      mediaType: 'application/octet-stream',
      digest: digestOf(bytes),
      size: bytes.length,
    }))
    const [config, ...others] = descriptors
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: others }))
    const path = '/v2/turn/about/manifests/v1'
    const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }
    await send({ method: 'PUT', path, headers, body: manifest, expect: [201] })
    for (const { url } of processes) {
      const here = createSend(
        () => url,
        () => undefined,
      )
      assert.ok((await here({ method: 'GET', path, expect: [200] })).body.equals(manifest))
      for (const { bytes } of layers) await assertBlob(here, 'turn/about', bytes)
    }
  })

  it('lose nothing that was acknowledged to eight clients that push, re-tag and delete at random', async (t) => {
    t.diagnostic(`replicas: seed ${seed}, ${clients} clients, ${rounds} steps each`)
    let retries = 0
    const sharedBlobs = Array.from({ length: 12 }, (_, number) =>
      createRandom(seed + number).bytes(1 + number ** 4 * 10),
    )
    const workers = Array.from({ length: clients }, (_, number) => {
      const random = createRandom(seed + 1000 * (number + 1))
      const send = createSend(
        () => random.pick(processes).url,
        () => (retries += 1),
      )
      return createWorker({ name: `w${number}`, send, random, sharedBlobs })
    })
    await Promise.all(
      workers.map(async ({ step }) => {
        for (let round = 0; round < rounds; round++) await step()
      }),
    )
    const acknowledged = workers.map((worker) => worker.acknowledged)
    for (const { url } of processes) {
      const send = createSend(
        () => url,
        () => assert.fail('503'),
      )
      await assertAllThere(send, acknowledged)
    }
    const images = acknowledged.reduce((total, { present }) => total + present.size, 0)
    t.diagnostic(`replicas: ${images} images at the end, ${retries} answers 503`)
  })
})

async function assertBlob(send: Send, repository: string, bytes: Buffer): Promise<void> {
  const digest = digestOf(bytes)
  const { body } = await send({ method: 'GET', path: `/v2/${repository}/blobs/${digest}`, expect: [200] })
  assert.ok(body.equals(bytes), `blob ${digest} of ${repository}`)
}

/** One process's answers against all that any of the two acknowledged. */
async function assertAllThere(send: Send, acknowledged: readonly Acknowledged[]): Promise<void> {
  for (const { present, deleted, tags } of acknowledged) {
    for (const { repository, digest, manifest, blobs } of present.values()) {
      const answer = await send({ method: 'GET', path: `/v2/${repository}/manifests/${digest}`, expect: [200] })
      assert.ok(answer.body.equals(manifest))
      for (const bytes of blobs) await assertBlob(send, repository, bytes)
    }
    for (const { repository, digest } of deleted.values()) {
      await send({ method: 'GET', path: `/v2/${repository}/manifests/${digest}`, expect: [404] })
    }
    for (const [key, image] of tags) {
      const path = `/v2/${key.replace(':', '/manifests/')}`
      const answer = await send({ method: 'GET', path, expect: [image === undefined ? 404 : 200] })
      if (image !== undefined) assert.ok(answer.body.equals(image.manifest), `${key} names ${digestOf(answer.body)}`)
    }
  }
  for (const repository of repositories) await assertTags(send, repository, acknowledged)
}

async function assertTags(send: Send, repository: string, acknowledged: readonly Acknowledged[]): Promise<void> {
  const writes = acknowledged.flatMap(({ shared }) => shared).filter(({ image }) => image.repository === repository)
  const own = acknowledged
    .flatMap(({ tags }) => [...tags])
    .flatMap(([key, image]) =>
      image !== undefined && image.repository === repository ? [key.split(':')[1] ?? ''] : [],
    )
  const expected = [...own, ...(writes.length > 0 ? [sharedTag] : [])].sort()
  // A repository without a manifest is none.
  const isThere = acknowledged.some(({ present }) =>
    [...present.values()].some((image) => image.repository === repository),
  )
  const answer = await send({ method: 'GET', path: `/v2/${repository}/tags/list`, expect: [isThere ? 200 : 404] })
  if (!isThere) return
  const list = v.parse(v.object({ tags: v.array(v.string()) }), JSON.parse(answer.body.toString()))
  assert.deepEqual(list.tags, expected, `the tags of ${repository}`)
  if (writes.length === 0) return

  const latest = await send({ method: 'GET', path: `/v2/${repository}/manifests/${sharedTag}`, expect: [200] })
  const last = writes.filter(({ endedAt }) => !writes.some(({ beganAt }) => beganAt > endedAt))
  assert.ok(
    last.some(({ image }) => image.manifest.equals(latest.body)),
    `${repository}:${sharedTag} is none of the ${last.length} writes that no later one replaced`,
  )
}
