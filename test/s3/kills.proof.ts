/**
 * Two servers on one bucket, of which one is killed again and again in the middle of 100 pushes (`PUSHES`), and an S3 server that is killed and started
 * again under load: clients that try again succeed, what was acknowledged is there, and a sweep leaves nothing else. `KILLS_SEED` repeats the choices.
 * CI runs it (`node --test test/s3/kills.proof.ts`), because it takes minutes.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { keySpace } from '../../src/registry/layout.ts'
import { attempt } from '../clients/process.ts'
import { readTree } from '../mixed/processes.ts'
import { createPatientClient, createTroubles } from '../replicas/push.ts'
import { createRandom, type Random } from '../replicas/random.ts'
import { type Replica, startReplica } from '../replicas/replica.ts'
import { contentOf, createImage } from '../soak/content.ts'
import { findLeftovers } from '../soak/leftovers.ts'
import { createModel, type Image, type Model, tagOf } from '../soak/model.ts'
import { createBucketFor, listMultiparts, openS3 } from './open.ts'
import { reasonToSkip, type S3Server, startVersitygw } from './servers.ts'
import { s3Environment } from './settings.ts'

const pushes = Number(process.env['PUSHES'] ?? 100)
const seed = Number(process.env['KILLS_SEED'] ?? randomInt(1_000_000))

/** Pushes at the same time. */
const lanes = 6

/** Every so many images one has a layer of three parts, and somebody is killed while it is sent. */
const largeEvery = 10
const largeBytes = 12 * 1024 * 1024

const outages = 5

/** What servers at rest may hold more than before: a heap goes up and down, a connection is closed a moment later. */
const slackFiles = 8
const slackBytes = 96 * 1024 * 1024

/** For the sweep after everything: what nothing names is due. */
const afterwards = {
  BERTH_REGISTRY_LEASE: '1s',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
  BERTH_SWEEP_UPLOAD_IDLE: '1s',
  BERTH_SWEEP_PUSH_IDLE: '1s',
  BERTH_SWEEP_COPY_WINDOW: '1s',
}

interface Stage {
  readonly server: S3Server
  readonly bucket: string
  readonly env: Readonly<Record<string, string>>
  readonly replicas: readonly Replica[]
}

async function createStage(t: TestContext): Promise<Stage> {
  const server = await startVersitygw()
  t.after(() => server.remove())
  const bucket = await createBucketFor(server)
  const env = {
    ...s3Environment(server, bucket),
    BERTH_STORAGE_S3_PART_BYTES: '5MiB',
    BERTH_SWEEP_INTERVAL: '1s',
    BERTH_LOG_FORMAT: 'json',
  }
  const replicas = await Promise.all([startReplica(env), startReplica(env)])
  t.after(() => Promise.all(replicas.map((one) => one.stop())))
  return { server, bucket, env, replicas }
}

function createPushedImage(random: Random, number: number): Image {
  const size = number % largeEvery === 0 ? largeBytes : 1 + random.below(200_000)
  const layers = [size, 1 + random.below(5000)].map((bytes) => contentOf(random.bytes(bytes)))
  return createImage(`kills/lane-${number % lanes}`, `image ${number} of ${seed}`, layers)
}

function remember(model: Model, image: Image, tag: string): void {
  image.state = 'present'
  model.images.push(image)
  tagOf(model, image.repository, tag).image = image
}

/** Everything that was acknowledged, of each server. */
async function pullAll({ replicas }: Stage, model: Model): Promise<void> {
  for (const { url } of replicas) {
    const troubles = createTroubles()
    const client = createPatientClient(() => [url], troubles)
    for (const { tag, image } of model.tags.values()) if (image !== undefined) await client.pull(image, tag)
    assert.deepEqual({ ...troubles, longestMs: 0 }, createTroubles())
  }
}

/** Sweeps until nothing is left to do, then holds every key against what was acknowledged. Returns how many multipart uploads dead processes had left. */
async function sweepAll({ server, bucket, env, replicas }: Stage, model: Model): Promise<number> {
  await Promise.all(replicas.map((one) => one.stop()))
  // What was sent a moment ago is as old as now for a clock of whole seconds.
  const driver = await openS3(server, bucket, { keySpace, multipartAgeMs: -1000 })
  try {
    const deadline = performance.now() + 60_000
    for (;;) {
      const gc = await attempt(process.execPath, [resolve('bin/berth.js'), 'gc'], { env: { ...env, ...afterwards } })
      assert.equal(gc.code, 0, gc.stderr)
      const { left, missing, scrubs, deadLinks } = await findLeftovers(driver, model)
      const found = { missing, left: [...left, ...deadLinks], scrubs: [...scrubs] }
      if (found.left.length + scrubs.size === 0 || performance.now() > deadline) {
        assert.deepEqual(found, { missing: [], left: [], scrubs: [] })
        break
      }
    }
    const aborted = await driver.tidy()
    assert.deepEqual(await listMultiparts(server, bucket), [])
    return aborted
  } finally {
    await driver.close()
  }
}

/** Open files, sockets among them, and memory of all processes of the servers. */
async function measure({ replicas }: Stage): Promise<{ readonly files: number; readonly bytes: number }> {
  const taken = (await Promise.all(replicas.map((one) => readTree(one.pid())))).flat()
  const sum = (what: 'files' | 'bytes'): number => taken.reduce((total, one) => total + one[what], 0)
  return { files: sum('files'), bytes: sum('bytes') }
}

/** Clients that push and pull until they are stopped; what nothing explains is thrown by `stop`. */
function startLoad({ replicas }: Stage, model: Model, name: 'calm' | 'rough') {
  const troubles = createTroubles()
  const stopped = new AbortController()
  let number = 0
  let done = 0
  const all = Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      const random = createRandom(seed + (name === 'calm' ? 10_000 : 20_000) + lane)
      const client = createPatientClient(() => replicas.map(({ url }) => url), troubles)
      while (!stopped.signal.aborted) {
        const [image, tag] = [createPushedImage(random, number), `${name}-${number++}`]
        await client.push(image, tag)
        remember(model, image, tag)
        done++
        const { image: other, tag: otherTag } = random.pick([...model.tags.values()])
        if (other !== undefined) await client.pull(other, otherTag)
      }
    }),
  )
  // It is told by `stop`.
  all.catch(() => undefined)
  return {
    troubles,
    done: () => done,
    stop: async (): Promise<void> => {
      stopped.abort()
      await all
    },
  }
}

describe('two servers on a bucket', { skip: reasonToSkip('versitygw') }, () => {
  it(`of which one is killed in the middle of ${pushes} pushes: each succeeds at the other, and nothing else is left`, async (t) => {
    const stage = await createStage(t)
    const { replicas } = stage
    const model = createModel()
    const troubles = createTroubles()
    const killing = createRandom(seed)
    let kills = 0
    let next = 0
    /** One at a time: the other one is there. */
    let restarted = Promise.resolve()
    const killAfter = async (before: Promise<void>): Promise<void> => {
      await before
      await sleep(killing.below(200))
      await killing.pick(replicas).killAndStart()
      kills++
    }
    const beganAt = performance.now()
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        const client = createPatientClient(() => replicas.map(({ url }) => url), troubles)
        for (let number = next++; number < pushes; number = next++) {
          const image = createPushedImage(createRandom(seed + 1 + number), number)
          if (number % largeEvery === 0) restarted = killAfter(restarted)
          await client.push(image, `t${number}`)
          remember(model, image, `t${number}`)
        }
      }),
    )
    await restarted
    const seconds = Math.round((performance.now() - beganAt) / 1000)
    await pullAll(stage, model)
    const multiparts = await sweepAll(stage, model)
    t.diagnostic(
      `kills: seed ${seed}, ${pushes} pushes in ${seconds} s, ${kills} kills, ${troubles.again} tries again, ${troubles.broken} broken requests, ${multiparts} multipart uploads aborted`,
    )
    assert.ok(kills >= Math.floor(pushes / largeEvery) && troubles.again > 0, 'nothing was hit')
  })

  it(`clients get 503 while the S3 server is killed, ${outages} times, and go on when it is back`, async (t) => {
    const stage = await createStage(t)
    const { server, replicas } = stage
    const model = createModel()
    const ready = async ({ pulse }: Replica): Promise<number> => (await fetch(`${pulse}/readyz`)).status
    const isAtOnce = async (status: number): Promise<void> => {
      const deadline = performance.now() + 15_000
      while (!(await Promise.all(replicas.map(ready))).every((one) => one === status)) {
        assert.ok(performance.now() < deadline, `/readyz is not ${status}`)
        await sleep(50)
      }
    }

    // Without an outage first: what is held at rest after that is what may be held in the end.
    const calm = startLoad(stage, model, 'calm')
    await sleep(10_000)
    await calm.stop()
    const before = await measure(stage)

    const load = startLoad(stage, model, 'rough')
    for (let outage = 0; outage < outages; outage++) {
      await sleep(2000)
      const { again } = load.troubles
      await server.kill()
      await isAtOnce(503)
      await sleep(2000)
      assert.ok(load.troubles.again > again, 'nobody noticed')
      await server.restart()
      await isAtOnce(200)
    }
    await sleep(2000)
    await load.stop()
    const { troubles, done } = load
    assert.ok(troubles.unavailable > 0 && troubles.longestMs < 30_000, JSON.stringify(troubles))
    await pullAll(stage, model)

    const deadline = performance.now() + 60_000
    let now = await measure(stage)
    while (now.files > before.files + slackFiles || now.bytes > before.bytes + slackBytes) {
      assert.ok(performance.now() < deadline, `at rest before ${JSON.stringify(before)}, now ${JSON.stringify(now)}`)
      await sleep(1000)
      now = await measure(stage)
    }
    const multiparts = await sweepAll(stage, model)
    t.diagnostic(
      `kills: seed ${seed}, S3 away ${outages} times: ${done()} pushes, ${JSON.stringify(troubles)}, ${multiparts} multipart uploads aborted; at rest ${JSON.stringify(before)}, then ${JSON.stringify(now)}`,
    )
  })
})
