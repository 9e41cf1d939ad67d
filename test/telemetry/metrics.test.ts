import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { renderMerged } from '../../src/telemetry/merged-metrics.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

const sample = { route: 'blob', status: 200, durationSeconds: 0.02, requestBytes: 0, responseBytes: 100 }

describe('requests', () => {
  test('a request is counted with its duration and bytes by route, method and status', async () => {
    const metrics = createMetrics('1.2.3')
    metrics.startRequest()
    metrics.startRequest()
    metrics.startRequest()
    metrics.recordRequest({ ...sample, method: 'GET' })
    metrics.recordRequest({ ...sample, method: 'GET', durationSeconds: 1000 })
    const { text, contentType } = await metrics.render()
    const labels = 'route="blob",method="GET",status="200"'
    for (const line of [
      'berth_http_requests_in_flight 1',
      `berth_http_requests_total{${labels}} 2`,
      `berth_http_request_duration_seconds_bucket{le="0.01",${labels}} 0`,
      `berth_http_request_duration_seconds_bucket{le="0.025",${labels}} 1`,
      `berth_http_request_duration_seconds_bucket{le="600",${labels}} 1`,
      `berth_http_request_duration_seconds_bucket{le="+Inf",${labels}} 2`,
      `berth_http_request_duration_seconds_sum{${labels}} 1000.02`,
      `berth_http_request_duration_seconds_count{${labels}} 2`,
      `berth_http_request_bytes_total{${labels}} 0`,
      `berth_http_response_bytes_total{${labels}} 200`,
    ]) {
      assert.ok(text.includes(`${line}\n`), line)
    }
    assert.match(text, /^berth_build_info\{version="1.2.3",node="v\d/m)
    assert.match(contentType, /^text\/plain; version=0.0.4/)
    assert.equal((await metrics.render()).text, text, 'asking changes nothing')
  })

  test('an invented method makes no label of its own', async () => {
    const metrics = createMetrics('1')
    metrics.recordRequest({ ...sample, method: 'PROPFIND' })
    assert.match((await metrics.render()).text, /method="other"/)
  })
})

describe('the store', () => {
  test('calls are counted by driver, operation and outcome, with their time in seconds', async () => {
    const metrics = createMetrics('1')
    const meter = metrics.meterStorage('memory')
    meter.record('read', 'done', 0.2)
    meter.record('read', 'done', 20)
    meter.record('read', 'absent', 1)
    const { text } = await metrics.render()
    const name = 'berth_storage_operation_duration_seconds'
    const done = 'driver="memory",operation="read",outcome="done"'
    for (const line of [
      `${name}_bucket{le="0.0001",${done}} 0`,
      `${name}_bucket{le="0.00025",${done}} 1`,
      `${name}_bucket{le="0.025",${done}} 2`,
      `${name}_count{${done}} 2`,
      `${name}_count{driver="memory",operation="read",outcome="absent"} 1`,
    ]) {
      assert.ok(text.includes(`${line}\n`), line)
    }
  })

  test('uploads and renewals are counted', async () => {
    const metrics = createMetrics('1')
    for (let i = 0; i < 3; i++) metrics.countEvent('upload started')
    metrics.countEvent('upload closed')
    metrics.countEvent('upload cancelled')
    metrics.countEvent('lease renewed')
    const { text } = await metrics.render()
    for (const line of [
      'berth_uploads_started_total 3',
      'berth_uploads_ended_total{how="closed"} 1',
      'berth_uploads_ended_total{how="cancelled"} 1',
      'berth_lease_renewals_total 1',
    ]) {
      assert.ok(text.includes(`${line}\n`), line)
    }
  })
})

describe('the process', () => {
  test('two apps share nothing; process metrics are there when asked for', async () => {
    const [one, two] = [createMetrics('1'), createMetrics('1')]
    one.startRequest()
    one.collectProcess()
    const { text } = await one.render()
    for (const name of ['process_resident_memory_bytes', 'process_cpu_seconds_total', 'process_open_fds']) {
      assert.match(text, new RegExp(`^${name} [\\d.]*[1-9]`, 'm'))
    }
    const other = (await two.render()).text
    assert.match(other, /^berth_http_requests_in_flight 0$/m)
    assert.doesNotMatch(other, /process_/)
  })

  test('a blocked event loop shows as its delay, once', async () => {
    const metrics = createMetrics('1')
    metrics.collectProcess()
    const longest = async (): Promise<number> => {
      const { text } = await metrics.render()
      return Number(/^berth_event_loop_delay_seconds\{quantile="1"\} (\S+)$/m.exec(text)?.[1])
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    await longest()
    // The first look after a scrape only begins to measure.
    await new Promise((resolve) => setTimeout(resolve, 50))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.ok((await longest()) > 0.2)
  })
})

test('the values of several workers are summed, and what cannot be summed says how else', async () => {
  const first = createMetrics('1')
  const second = createMetrics('1')
  const workers = [first, second]
  for (const worker of workers) {
    worker.startRequest()
    worker.startRequest()
    worker.recordRequest({ ...sample, method: 'GET' })
    worker.recordSweep({ outcome: 'done', seconds: 1, counts: { waiting: 7 } })
  }
  const { text } = await renderMerged(first, [await second.snapshot()])
  for (const line of [
    'berth_http_requests_in_flight 2',
    'berth_http_requests_total{route="blob",method="GET",status="200"} 2',
    'berth_http_request_duration_seconds_count{route="blob",method="GET",status="200"} 2',
    'berth_http_request_duration_seconds_bucket{le="0.025",route="blob",method="GET",status="200"} 2',
    'berth_sweep_waiting 7',
    `berth_build_info{version="1",node="${process.version}"} 1`,
  ]) {
    assert.ok(text.includes(`${line}\n`), line)
  }
})
