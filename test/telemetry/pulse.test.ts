import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { silentLogger } from '../../src/telemetry/logger.ts'
import { createPulseServer, type PulseDependencies } from '../../src/telemetry/pulse.ts'

async function startPulse(t: TestContext, dependencies: Partial<PulseDependencies> = {}): Promise<number> {
  const server = createPulseServer({
    checkReady: async () => undefined,
    readyTimeoutMs: 10_000,
    renderMetrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
    log: silentLogger,
    ...dependencies,
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

async function ask(port: number, path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
  return { status: response.status, text: await response.text(), headers: response.headers }
}

test('the process answers, the store answers, the metrics are there', async (t) => {
  const port = await startPulse(t)
  assert.partialDeepStrictEqual(await ask(port, '/healthz'), { status: 200, text: 'ok\n' })
  assert.partialDeepStrictEqual(await ask(port, '/readyz?verbose'), { status: 200, text: 'ready\n' })
  const metrics = await ask(port, '/metrics')
  assert.equal(metrics.text, 'up 1\n')
  assert.equal(metrics.headers.get('content-type'), 'text/plain; version=0.0.4')
})

test('HEAD has the headers of GET and no body', async (t) => {
  const { status, text, headers } = await ask(await startPulse(t), '/healthz', 'HEAD')
  assert.deepEqual([status, text, headers.get('content-length')], [200, '', '3'])
})

test('a store that fails makes it unready, not dead, and the answer says why', async (t) => {
  const port = await startPulse(t, { checkReady: () => Promise.reject(new Error('the folder is gone')) })
  assert.partialDeepStrictEqual(await ask(port, '/readyz'), { status: 503, text: 'not ready: the folder is gone\n' })
  assert.equal((await ask(port, '/healthz')).status, 200)
})

test('a store that hangs is unready in time, and is asked once however many probes wait', async (t) => {
  let asked = 0
  const checkReady = () => {
    asked++
    return new Promise<void>(() => undefined)
  }
  const port = await startPulse(t, { checkReady, readyTimeoutMs: 200 })
  const answers = await Promise.all([ask(port, '/readyz'), ask(port, '/readyz'), ask(port, '/readyz')])
  for (const { status, text } of answers) {
    assert.deepEqual([status, text], [503, 'not ready: no answer within 200 ms\n'])
  }
  assert.ok(asked < 3)
  assert.equal((await ask(port, '/readyz')).status, 503)
})

test('other paths are 404, other methods 405 with Allow', async (t) => {
  const port = await startPulse(t)
  assert.match((await ask(port, '/v2/')).text, /^not found; there are \/healthz, \/readyz, \/metrics\n$/)
  const refused = await ask(port, '/metrics', 'DELETE')
  assert.deepEqual([refused.status, refused.headers.get('allow')], [405, 'GET, HEAD'])
})

test('a body that never ends does not hold the connection', async (t) => {
  const port = await startPulse(t)
  const request = httpRequest({ port, host: '127.0.0.1', path: '/healthz', method: 'POST' })
  request.on('error', () => undefined)
  request.write('x')
  const [response] = await once(request, 'response')
  assert.equal(response.statusCode, 405)
  response.resume()
  await once(response, 'close')
})

test('a TLS hello gets 400', async (t) => {
  const socket = connect(await startPulse(t), '127.0.0.1')
  socket.write(Buffer.from('16030100c5010000c1', 'hex'))
  const [answer] = await once(socket, 'data')
  assert.match(String(answer), /^HTTP\/1.1 400 /)
})

test('metrics that fail are 500, and the log says so', async (t) => {
  const errors: string[] = []
  const log = { ...silentLogger, error: (message: string) => errors.push(message) }
  const port = await startPulse(t, { renderMetrics: () => Promise.reject(new Error('no')), log })
  assert.equal((await ask(port, '/metrics')).status, 500)
  assert.deepEqual(errors, ['the pulse failed to answer'])
})
