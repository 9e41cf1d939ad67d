/** A server of two workers: how it counts, what it survives, how it ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { ask, makeEnvironment, readMetric, type Server, spawnServer, startServer } from './server.ts'

/** Begins an upload on a connection of its own, whose body is not whole yet. */
async function beginUpload({ url, port }: Server) {
  const started = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const path = started.headers.get('location') ?? ''
  const agent = new Agent({ keepAlive: true })
  const headers = { Expect: '100-continue' }
  const upload = request({ agent, host: '127.0.0.1', port, path, method: 'PATCH', headers })
  upload.flushHeaders()
  await once(upload, 'continue')
  upload.write('first')
  return upload
}

test('connections go to all workers in turn, and their metrics are one sum', async (t) => {
  const server = await startServer(t, await makeEnvironment(t))
  assert.equal(server.workers.length, 2)
  for (let sent = 0; sent < 6; sent++) assert.equal((await ask(`${server.url}/v2/`)).status, 200)
  assert.equal(await readMetric(server, 'berth_http_requests_total'), 6)
  assert.equal(await readMetric(server, 'berth_http_request_duration_seconds_count'), 6)
  assert.equal(await readMetric(server, 'berth_workers'), 2)
  assert.equal(await readMetric(server, 'berth_build_info'), 1)
  const start = await readMetric(server, 'process_start_time_seconds')
  assert.ok(Math.abs(Date.now() / 1000 - start) < 60, `started at ${start}`)
})

test('a worker that is killed is replaced, and what it had counted stays', async (t) => {
  const server = await startServer(t, await makeEnvironment(t))
  for (let sent = 0; sent < 4; sent++) await ask(`${server.url}/v2/`)
  assert.equal(await readMetric(server, 'berth_http_requests_total'), 4)
  const [victim = 0] = server.workers
  process.kill(victim, 'SIGKILL')
  await server.printed(new RegExp(`"a worker took the place","worker":(\\d+),"of":${victim}`))
  assert.match(server.output(), /"a worker ended; it is replaced".*"cause":"killed","reason":"killed by SIGKILL"/)
  assert.equal(await readMetric(server, 'berth_workers'), 2)
  assert.equal(await readMetric(server, 'berth_http_requests_total'), 4)
  assert.equal(await readMetric(server, 'berth_worker_ends_total'), 1)
  // One after the other goes to each worker in turn.
  for (let sent = 0; sent < 4; sent++) assert.equal((await ask(`${server.url}/v2/`)).status, 200)
  assert.equal(await readMetric(server, 'berth_http_requests_total'), 8)
})

test('a worker that meets a bug says so, ends its requests, and is replaced; nothing else of what was thrown is written', async (t) => {
  const server = await startServer(t, await makeEnvironment(t))
  const uploads = [await beginUpload(server), await beginUpload(server)]
  const [victim = 0] = server.workers
  process.kill(victim, 'SIGUSR2')
  await server.printed(new RegExp(`"a worker took the place","worker":\\d+,"of":${victim}`))
  for (const upload of uploads) {
    const answered = once(upload, 'response')
    upload.end('second')
    const [response] = await answered
    assert.equal(response.statusCode, 202)
    response.resume()
  }
  assert.match(server.output(), /"an error that nobody caught; .*"reason":"Error: a bug that a test has made"/)
  assert.doesNotMatch(server.output(), /secret/)
  // The counts of the faulty one arrive with its end.
  assert.equal(await readMetric(server, 'berth_uncaught_errors_total'), 1)
  assert.equal(await readMetric(server, 'berth_worker_ends_total'), 1)
})

test('a server of one process that meets a bug ends with 1', async (t) => {
  const server = await startServer(t, { ...(await makeEnvironment(t)), BERTH_WORKERS_COUNT: '1' })
  server.kill('SIGUSR2')
  assert.equal(await server.ended, 1)
  assert.match(server.output(), /"an error that nobody caught; /)
  assert.match(server.output(), /^berth: an error that nobody caught; the log says where$/m)
})

test('a port that is taken is one sentence and exit code 3, once for all workers', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const address = other.address()
  assert.ok(typeof address === 'object' && address !== null)
  for (const section of ['HTTP', 'PULSE']) {
    const environment = { ...(await makeEnvironment(t)), [`BERTH_${section}_PORT`]: String(address.port) }
    const server = spawnServer(t, environment)
    assert.equal(await server.ended, 3)
    const said = server
      .output()
      .split('\n')
      .filter((line) => line.startsWith('berth:'))
    assert.equal(said.length, 1)
    assert.match(said[0] ?? '', new RegExp(`^berth: another program listens on 127.0.0.1:${address.port}: `))
  }
})

test('a folder that cannot be made is one sentence and exit code 3', async (t) => {
  const server = spawnServer(t, { ...(await makeEnvironment(t)), BERTH_STORAGE_FILESYSTEM_ROOT: import.meta.filename })
  assert.equal(await server.ended, 3)
  assert.match(server.output(), /^berth: [^\n]*is not a folder\n$/)
})

test('SIGTERM to all of its processes: a running request ends, clients are asked to leave, exit code 0', async (t) => {
  const server = await startServer(t, { ...(await makeEnvironment(t)), BERTH_HTTP_STOP_DELAY: '10m' })
  const uploads = [await beginUpload(server), await beginUpload(server)]
  process.kill(-server.pid, 'SIGTERM')
  await server.printed(/"Berth stops/)
  assert.equal((await fetch(`${server.pulse}/readyz`)).status, 503)
  // The delay: whoever has not noticed is answered.
  assert.deepEqual(await ask(`${server.url}/v2/`), { status: 200, connection: 'close' })
  for (const upload of uploads) {
    const answered = once(upload, 'response')
    upload.end('second')
    const [response] = await answered
    assert.deepEqual([response.statusCode, response.headers.connection], [202, 'close'])
    response.resume()
  }
  // Signals soon after the first are the same one; a later one ends the delay.
  const hurrying = setInterval(() => server.kill('SIGTERM'), 100)
  t.after(() => clearInterval(hurrying))
  assert.equal(await server.ended, 0)
  assert.doesNotMatch(server.output(), /were cut/)
})

test('without its server no worker goes on', async (t) => {
  const server = await startServer(t, await makeEnvironment(t))
  server.kill('SIGKILL')
  // All of its processes hold its output: this would wait for a worker that goes on.
  assert.equal(await server.ended, null)
})
