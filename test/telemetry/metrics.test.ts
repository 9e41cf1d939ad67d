import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from '../../src/telemetry/metrics.ts'

const sample = { route: 'blob', status: 200, durationSeconds: 0.02, requestBytes: 0, responseBytes: 100 }

test('a request is counted with its duration and bytes by route, method and status', async () => {
  const metrics = createMetrics('1.2.3')
  metrics.startRequest()
  metrics.startRequest()
  metrics.recordRequest({ ...sample, method: 'GET' })
  const { text, contentType } = await metrics.render()
  const labels = 'route="blob",method="GET",status="200"'
  for (const line of [
    'berth_http_requests_in_flight 1',
    `berth_http_requests_total{${labels}} 1`,
    `berth_http_request_duration_seconds_bucket{le="0.025",${labels}} 1`,
    `berth_http_request_duration_seconds_sum{${labels}} 0.02`,
    `berth_http_request_bytes_total{${labels}} 0`,
    `berth_http_response_bytes_total{${labels}} 100`,
  ]) {
    assert.ok(text.includes(`${line}\n`), line)
  }
  assert.match(text, /^berth_build_info\{version="1.2.3",node="v\d/m)
  assert.match(contentType, /^text\/plain; version=0.0.4/)
})

test('an invented method makes no label of its own', async () => {
  const metrics = createMetrics('1')
  metrics.recordRequest({ ...sample, method: 'PROPFIND' })
  assert.match((await metrics.render()).text, /method="other"/)
})

test('two apps share nothing; process metrics are there when asked for', async () => {
  const [one, two] = [createMetrics('1'), createMetrics('1')]
  one.startRequest()
  one.collectProcess()
  assert.match((await one.render()).text, /^process_resident_memory_bytes \d/m)
  const other = (await two.render()).text
  assert.match(other, /^berth_http_requests_in_flight 0$/m)
  assert.doesNotMatch(other, /process_/)
})
