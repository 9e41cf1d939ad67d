import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type Run, type RunOptions, startRun } from './surroundings.ts'

const free = { BERTH_HTTP_PORT: '0', BERTH_PULSE_PORT: '0', BERTH_STORAGE_KIND: 'memory' }

interface Served extends Run {
  readonly port: number
  readonly pulsePort: number
}

/** Starts Berth on free ports. */
async function serve(t: TestContext, environment = {}, options: RunOptions = {}): Promise<Served> {
  const run = startRun(['serve'], { environment: { ...free, ...environment }, ...options })
  t.after(async () => {
    run.stop()
    await run.done
  })
  const [, port, pulsePort] = await run.printed(/"port":(\d+)(?:.*"pulse":\{.*?"port":(\d+))?/)
  return { ...run, port: Number(port), pulsePort: Number(pulsePort) }
}

const statusOf = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status

/** A request that the server has accepted, and whose body is not whole yet. */
async function startUpload(port: number) {
  const agent = new Agent({ keepAlive: true })
  const started = await fetch(`http://127.0.0.1:${port}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const path = started.headers.get('location') ?? ''
  const headers = { Expect: '100-continue' }
  const upload = request({ agent, host: '127.0.0.1', port, path, method: 'PATCH', headers })
  upload.flushHeaders()
  await once(upload, 'continue')
  upload.write('first')
  return upload
}

test('it serves the registry and the pulse until it is told to stop, and ends with 0', async (t) => {
  const berth = await serve(t)
  assert.equal(await statusOf(berth.port, '/v2/'), 200)
  assert.equal(await statusOf(berth.pulsePort, '/healthz'), 200)
  assert.equal(await statusOf(berth.pulsePort, '/readyz'), 200)
  const metrics = await (await fetch(`http://127.0.0.1:${berth.pulsePort}/metrics`)).text()
  assert.match(metrics, /^berth_http_requests_total\{route="end-1",method="GET",status="200"\} 1$/m)
  assert.match(metrics, /^process_resident_memory_bytes /m)
  berth.stop()
  assert.equal(await berth.done, 0)
  assert.match(berth.out(), /"message":"Berth has stopped"\}\n$/)
  await assert.rejects(statusOf(berth.port, '/v2/'))
  await assert.rejects(statusOf(berth.pulsePort, '/healthz'))
})

test('lines of requests are written together, and none is lost at the end', async (t) => {
  const berth = await serve(t, { BERTH_LOG_FLUSH_INTERVAL: '10s', BERTH_LOG_BUFFER_BYTES: '1MiB' })
  for (let i = 0; i < 20; i++) assert.equal(await statusOf(berth.port, '/v2/'), 200)
  const count = (): number => berth.out().split('"message":"request"').length - 1
  assert.equal(count(), 0)
  berth.stop()
  assert.equal(await berth.done, 0)
  assert.equal(count(), 20)
})

test('requests that went well can be left out of the log', async (t) => {
  const berth = await serve(t, { BERTH_LOG_SAMPLE_REQUESTS: '0', BERTH_LOG_FLUSH_INTERVAL: '0ms' })
  assert.equal(await statusOf(berth.port, '/v2/'), 200)
  assert.equal(await statusOf(berth.port, '/nothing'), 404)
  await berth.printed(/"message":"request".*"status":404/)
  assert.doesNotMatch(berth.out(), /"status":200/)
})

test('a request that runs may end after the signal; meanwhile it is not ready', async (t) => {
  const berth = await serve(t)
  const upload = await startUpload(berth.port)
  berth.stop()
  // The same Ctrl-C again, passed on by npm: nobody is in a hurry yet.
  berth.stop()
  assert.equal(await statusOf(berth.pulsePort, '/readyz'), 503)
  upload.end('second')
  const [response] = await once(upload, 'response')
  assert.equal(response.statusCode, 202)
  response.resume()
  assert.equal(await berth.done, 0)
})

test('a connection on which nothing ever came does not keep it, and is no request that was cut', async (t) => {
  const berth = await serve(t, { BERTH_HTTP_STOP_TIMEOUT: '1h' })
  const silent = connect(berth.port, '127.0.0.1')
  await once(silent, 'connect')
  // It has been accepted when one that came later was answered.
  assert.equal(await statusOf(berth.port, '/v2/'), 200)
  berth.stop()
  silent.resume()
  await once(silent, 'close')
  assert.equal(await berth.done, 0)
  assert.doesNotMatch(berth.out(), /were cut/)
})

test('a request that runs too long is cut, and the log says so', async (t) => {
  const berth = await serve(t, { BERTH_HTTP_STOP_TIMEOUT: '10ms' })
  const upload = await startUpload(berth.port)
  const broken = once(upload, 'error')
  berth.stop()
  await broken
  assert.equal(await berth.done, 0)
  assert.match(berth.out(), /requests that were still running were cut/)
})

test('on a terminal it prints a block for people', async (t) => {
  const run = startRun(['serve'], { environment: free, isTerminal: true })
  t.after(() => run.stop())
  await run.printed(/^Berth \d.*\n\n {2}registry {2}http:\/\/127.0.0.1:\d+\n {2}data {6}memory/m)
  run.stop()
  assert.equal(await run.done, 0)
})

test('without the pulse nothing listens for it', async (t) => {
  const berth = await serve(t, { BERTH_PULSE_ENABLED: 'false' })
  assert.equal(berth.pulsePort, Number.NaN)
})

test('listening on more than this machine is warned of', async (t) => {
  const berth = await serve(t, { BERTH_HTTP_ADDRESS: '0.0.0.0' })
  await berth.printed(/"level":"warn","message":"Berth has no users yet/)
})

test('a configuration that is wrong starts nothing: exit code 2', async () => {
  const run = startRun(['serve'], { environment: { ...free, BERTH_LOG_LEVEL: 'loud' } })
  assert.equal(await run.done, 2)
  assert.match(run.err(), /^berth: The configuration has a problem:\n/)
})

test('a port that is taken is one sentence and exit code 3, for either listener', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const address = other.address()
  assert.ok(typeof address === 'object' && address !== null)
  for (const section of ['http', 'pulse']) {
    const variable = `BERTH_${section.toUpperCase()}_PORT`
    const run = startRun(['serve'], { environment: { ...free, [variable]: String(address.port) } })
    assert.equal(await run.done, 3)
    assert.equal(
      run.err(),
      `berth: another program listens on 127.0.0.1:${address.port}: stop it, or choose a port with ${variable} or ${section}.port\n`,
    )
  }
})

test('an address that is not of this machine is one sentence and exit code 3', async () => {
  const run = startRun(['serve'], { environment: { ...free, BERTH_HTTP_ADDRESS: '192.0.2.1' } })
  assert.equal(await run.done, 3)
  assert.match(run.err(), /^berth: 192.0.2.1 is no address of this machine: .*\n$/)
})

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-serve-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('what was pushed to a folder is there after a restart', async (t) => {
  const root = join(await makeFolder(t), 'data')
  const environment = { BERTH_STORAGE_KIND: 'filesystem', BERTH_STORAGE_FILESYSTEM_ROOT: root }
  const empty = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
  const first = await serve(t, environment)
  const url = `http://127.0.0.1:${first.port}/v2/team/app/blobs/uploads/?digest=${empty}`
  assert.equal((await fetch(url, { method: 'POST' })).status, 201)
  first.stop()
  assert.equal(await first.done, 0)
  const second = await serve(t, environment)
  assert.equal(await statusOf(second.port, `/v2/team/app/blobs/${empty}`), 200)
})

test('a folder that is lost makes it unready', async (t) => {
  const root = join(await makeFolder(t), 'data')
  const berth = await serve(t, { BERTH_STORAGE_KIND: 'filesystem', BERTH_STORAGE_FILESYSTEM_ROOT: root })
  await rm(root, { recursive: true })
  assert.equal(await statusOf(berth.pulsePort, '/readyz'), 503)
  assert.equal(await statusOf(berth.pulsePort, '/healthz'), 200)
})

test('a folder that cannot be made, or holds something else, is one sentence and exit code 3', async (t) => {
  const folder = await makeFolder(t)
  await writeFile(join(folder, 'thesis.txt'), '')
  for (const root of [join(folder, 'thesis.txt', 'data'), folder]) {
    const environment = { ...free, BERTH_STORAGE_KIND: 'filesystem', BERTH_STORAGE_FILESYSTEM_ROOT: root }
    const run = startRun(['serve'], { environment })
    assert.equal(await run.done, 3)
    assert.match(run.err(), /^berth: .*\n$/)
    assert.ok(run.err().includes(root), run.err())
  }
})
