/**
 * Two processes on one store, a folder or a bucket, that both sweep; each request goes to the one that the last did not, or to either. `REPLICAS_ROUNDS`
 * makes the random part longer (steps of each client, 12 without it; a third on a bucket) and `REPLICAS_SEED` repeats the choices of an earlier run; the order in which the
 * processes answer is theirs.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import * as v from 'valibot'
import { ociManifest } from '../../src/oci/media-types.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import { startBerth } from '../clients/berth.ts'
import type { Registry } from '../clients/berth.ts'
import { digestOf } from '../clients/layout.ts'
import { attempt } from '../clients/process.ts'
import { reasonToSkip } from '../s3/servers.ts'
import { createRandom } from './random.ts'
import { createSend } from './requests.ts'
import type { Send } from './requests.ts'
import { createStore, type SharedStore } from './store.ts'
import { cancelUpload, uploadBlob, uploadWays } from './upload.ts'
import { createWorker, repositories, sharedTag } from './worker.ts'
import type { Acknowledged } from './worker.ts'

const folderRounds = Number(process.env['REPLICAS_ROUNDS'] ?? 12)
const seed = Number(process.env['REPLICAS_SEED'] ?? randomInt(1_000_000))
const clients = 8

/** Both sweep all the time; half of the lease is far longer than any push takes. */
const hasty = {
  BERTH_REGISTRY_LEASE: '20s',
  BERTH_SWEEP_INTERVAL: '1s',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
}

/** For sweeps after the last request: all that nothing names is due. */
const afterwards = {
  BERTH_REGISTRY_LEASE: '1s',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
  BERTH_SWEEP_UPLOAD_IDLE: '1s',
  BERTH_SWEEP_PUSH_IDLE: '1s',
  BERTH_SWEEP_COPY_WINDOW: '1s',
}

const kinds = [
  { storage: 'filesystem', place: 'folder', rounds: folderRounds, skip: false },
  // Every call costs a process on it several times as much.
  { storage: 's3', place: 'bucket', rounds: Math.ceil(folderRounds / 3), skip: reasonToSkip('versitygw') },
] as const

for (const { storage, place, rounds, skip } of kinds) {
  describe(`two processes on one ${place}`, { skip }, () => {
    let store: SharedStore
    let processes: readonly Registry[]
    let acknowledged: readonly Acknowledged[] = []
    let turn = 0
    /** To each process in turn. */
    const send = createSend(
      () => processes[turn++ % processes.length]?.url ?? '',
      () => assert.fail('503'),
    )

    before(async () => {
      store = await createStore(storage)
      const options = { folder: store.folder, env: { ...store.env, ...hasty } }
      processes = await Promise.all([startBerth(options), startBerth(options)])
    })
    after(async () => {
      await Promise.all(processes.map((one) => one.stop()))
      await store.close()
      await store.remove()
      const failures = processes.flatMap((one) => one.output().match(/.*"level":"error".*/g) ?? [])
      assert.deepEqual(failures, [])
    })

    it('take the requests of one push in turn', async () => {
      const random = createRandom(seed)
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
      acknowledged = workers.map((worker) => worker.acknowledged)
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

    it('agree on how far an upload is, and that it was cancelled', () =>
      cancelUpload(send, 'turn/about', createRandom(seed).bytes(100_000)))

    it('see what the other has mounted, moved and deleted at once', async () => {
      const bytes = createRandom(seed + 1).bytes(1000)
      const [from, to] = ['/v2/mounts/from', '/v2/mounts/to']
      const blob = `blobs/${digestOf(bytes)}`
      await uploadBlob(send, createRandom(seed), { repository: 'mounts/from', bytes, way: 'single', from: '' })
      const mount = `${to}/blobs/uploads/?mount=${digestOf(bytes)}&from=mounts/from`
      await send({ method: 'POST', path: mount, expect: [201] })
      await send({ method: 'DELETE', path: `${from}/${blob}`, expect: [202] })
      await send({ method: 'HEAD', path: `${from}/${blob}`, expect: [404] })
      await assertBlob(send, 'mounts/to', bytes)

      const headers = { 'content-type': ociManifest }
      const config = { mediaType: 'application/octet-stream', digest: digestOf(bytes), size: bytes.length }
      const manifests = ['one', 'two'].map((name) =>
        Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: [], annotations: { name } })),
      )
      const path = `${to}/manifests/latest`
      for (const body of manifests) {
        await send({ method: 'PUT', path, headers, body, expect: [201] })
        assert.ok((await send({ method: 'GET', path, expect: [200] })).body.equals(body))
      }
      for (const body of manifests) {
        const byDigest = `${to}/manifests/${digestOf(body)}`
        await send({ method: 'DELETE', path: byDigest, expect: [202] })
        await send({ method: 'HEAD', path: byDigest, expect: [404] })
      }
      await send({ method: 'HEAD', path, expect: [404] })
      await send({ method: 'GET', path: `${to}/tags/list`, expect: [404] })
    })

    it('free what nothing names any more, in two sweeps at once, and nothing else', async () => {
      const env = { ...store.env, ...afterwards }
      const sweepOnce = async (): Promise<void> => {
        const berth = resolve('bin/berth.js')
        const { code, stderr } = await attempt(process.execPath, [berth, 'gc'], { env })
        assert.equal(code, 0, stderr)
      }
      const driver = await store.open()
      try {
        const deadline = performance.now() + 300_000
        for (let left = ['all']; left.length > 0; left = await listJournals(driver)) {
          assert.ok(performance.now() < deadline, `after five minutes there are ${left.join(' ')}`)
          await Promise.all([sweepOnce(), sweepOnce()])
        }
      } finally {
        await driver.close()
      }
      await assertAllThere(send, acknowledged)
    })
  })
}

/** What a sweep has to look at. */
async function listJournals(driver: Driver): Promise<string[]> {
  const keys: string[] = []
  for (const prefix of ['garbage/', 'pushes/', 'uploads/']) {
    for await (const { key } of listAll(driver, prefix)) keys.push(key)
  }
  return keys
}

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
