/**
 * A server that is stopped while it works: an upload of 1 GiB (`UPLOAD_MEBIBYTES`) ends; of two servers one after the other is stopped and started again
 * under load, `ROUNDS` times, and no request fails; workers are killed under load, and no connection is forgotten. CI runs it (`node --test test/workers/restart.proof.ts`), because it takes a minute.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../clients/port.ts'
import { digestOf } from '../clients/layout.ts'
import { createRandom } from '../replicas/random.ts'
import { startLoad, type Tries } from './rolling.ts'
import { type Environment, makeEnvironment, type Server, startServer } from './server.ts'

const mebibyte = 1024 * 1024
const uploadMebibytes = Number(process.env['UPLOAD_MEBIBYTES'] ?? 1024)
const rounds = Number(process.env['ROUNDS'] ?? 3)

/** How often a worker is killed. */
const kills = 20

/** How fast the slow sender is, in MiB a second. */
const paceMebibytes = 100

const quiet = { BERTH_LOG_LEVEL: 'info' }

test(`a stop lets an upload of ${uploadMebibytes} MiB end that began before`, async (t) => {
  const environment = { ...(await makeEnvironment(t)), BERTH_HTTP_STOP_TIMEOUT: '5m' }
  const server = await startServer(t, environment)
  const piece = randomBytes(mebibyte)
  const hash = createHash('sha256')
  for (let sent = 0; sent < uploadMebibytes; sent++) hash.update(piece)
  const digest = `sha256:${hash.digest('hex')}`
  const length = uploadMebibytes * mebibyte
  const upload = request({
    agent: new Agent({ keepAlive: true }),
    host: '127.0.0.1',
    port: server.port,
    method: 'POST',
    path: `/v2/team/app/blobs/uploads/?digest=${digest}`,
    headers: { 'Content-Length': length },
  })
  const answered = once(upload, 'response')
  const begin = performance.now()
  for (let sent = 1; sent <= uploadMebibytes; sent++) {
    if (!upload.write(piece)) await once(upload, 'drain')
    if (sent === Math.ceil(uploadMebibytes / 10)) server.kill('SIGTERM')
    await sleep(Math.max(0, (sent / paceMebibytes) * 1000 - (performance.now() - begin)))
  }
  upload.end()
  const [response]: IncomingMessage[] = await answered
  assert.deepEqual([response?.statusCode, response?.headers.connection], [201, 'close'])
  response?.resume()
  assert.equal(await server.ended, 0)
  // It had stopped long before: nobody else was let in.
  assert.match(server.output(), /"Berth stops: /)
  assert.doesNotMatch(server.output(), /were cut/)

  const again = await startServer(t, environment)
  const blob = await fetch(`${again.url}/v2/team/app/blobs/${digest}`)
  const readHash = createHash('sha256')
  for await (const chunk of blob.body ?? []) readHash.update(chunk)
  assert.equal(`sha256:${readHash.digest('hex')}`, digest)
})

/** Two servers on one folder, each with a port of its own that it keeps. */
async function startPair(t: TestContext, settings: Environment) {
  const environment = { ...(await makeEnvironment(t)), ...quiet, ...settings }
  const start = async () => {
    const [http, pulse] = [String(await freePort()), String(await freePort())]
    const own = { ...environment, BERTH_HTTP_PORT: http, BERTH_PULSE_PORT: pulse }
    return { start: () => startServer(t, own), server: await startServer(t, own) }
  }
  return [await start(), await start()] as const
}

/** As a balancer does it: asks every server now and then whether it is ready. */
function watchReadiness(servers: () => readonly Server[], everyMs: number) {
  let ready = servers().map(({ port }) => port)
  const stopped = new AbortController()
  const watching = (async () => {
    while (!stopped.signal.aborted) {
      const found: number[] = []
      for (const { port, pulse } of servers()) {
        const answer = await fetch(`${pulse}/readyz`).catch(() => undefined)
        if (answer?.ok === true) found.push(port)
      }
      ready = found
      await sleep(everyMs)
    }
  })()
  return {
    ready: () => ready,
    stop: async () => {
      stopped.abort()
      await watching
    },
  }
}

async function restartUnderLoad(t: TestContext, stopDelay: string, tries: Tries): Promise<void> {
  const pair = await startPair(t, { BERTH_HTTP_STOP_DELAY: stopDelay })
  const blob = randomBytes(mebibyte)
  const digest = digestOf(blob)
  const [{ server: first }] = pair
  const path = `${first.url}/v2/a/b/blobs/uploads/?digest=${digest}`
  assert.equal((await fetch(path, { method: 'POST', body: blob })).status, 201)

  const servers: Server[] = pair.map(({ server }) => server)
  const watch = watchReadiness(() => servers, 100)
  const asks = [
    { method: 'GET', path: `/v2/a/b/blobs/${digest}`, expect: 200 },
    { method: 'HEAD', path: `/v2/a/b/blobs/${digest}`, expect: 200 },
    { method: 'GET', path: '/v2/', expect: 200 },
    { method: 'GET', path: '/v2/a/b/manifests/none', expect: 404 },
  ]
  const ports = (): readonly number[] =>
    tries === 'used connections' ? watch.ready() : servers.map(({ port }) => port)
  const load = startLoad(8, ports, tries, createRandom(1), asks)
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [index, { start }] of pair.entries()) {
        const before = load.counts.requests
        servers[index]?.kill('SIGTERM')
        assert.equal(await servers[index]?.ended, 0)
        assert.doesNotMatch(servers[index]?.output() ?? '', /were cut/)
        servers[index] = await start()
        // It gets its share before the other one goes.
        await sleep(500)
        assert.ok(load.counts.requests > before, 'there was no load')
      }
    }
  } finally {
    await load.stop()
    await watch.stop()
  }
  t.diagnostic(`restarts: ${rounds * 2} with ${tries}: ${JSON.stringify(load.counts)}`)
  assert.deepEqual(load.failures, [])
}

test('restarts one after the other, with a delay in which a balancer notices: no request fails', (t) =>
  restartUnderLoad(t, '1s', 'used connections'))

test('restarts one after the other without a delay and a balancer: no request fails that may be sent again', (t) =>
  restartUnderLoad(t, '0s', 'every connection'))

/** The longest that a request of the next test may wait, in ms: far more than it takes to start a worker. */
const forgottenMs = 15_000

test('workers that are killed while connections come in: each is answered or closed, none is forgotten', async (t) => {
  const settings = { BERTH_WORKERS_RESTART: '10ms', BERTH_WORKERS_MAX_RESTART: '10ms' }
  const server = await startServer(t, { ...(await makeEnvironment(t)), ...settings })
  const counts = { answered: 0, broken: 0, forgotten: 0 }
  const stopped = new AbortController()
  const askOnce = async (): Promise<void> => {
    const limit = AbortSignal.timeout(forgottenMs)
    const asked = request(`${server.url}/v2/`, { agent: false, signal: limit }).end()
    try {
      const [response]: IncomingMessage[] = await once(asked, 'response')
      response?.resume()
      counts.answered++
    } catch {
      if (limit.aborted) counts.forgotten++
      else counts.broken++
    }
  }
  const clients = Array.from({ length: 8 }, async () => {
    while (!stopped.signal.aborted) await askOnce()
  })
  const living = [...server.workers]
  for (let killed = 0; killed < kills; killed++) {
    const victim = living.shift() ?? 0
    process.kill(victim, 'SIGKILL')
    const [, replacement] = await server.printed(new RegExp(`"a worker took the place","worker":(\\d+),"of":${victim}`))
    living.push(Number(replacement))
    await sleep(100)
  }
  stopped.abort()
  await Promise.all(clients)
  t.diagnostic(`kills: ${kills} of workers: ${JSON.stringify(counts)}`)
  assert.equal(counts.forgotten, 0)
  assert.ok(counts.answered > 0)
})
