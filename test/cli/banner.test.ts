import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderBanner } from '../../src/cli/banner.ts'

const started = { version: '1.0.0', address: '127.0.0.1', port: 5000, data: '/srv/berth', workers: 2, pulse: undefined }

test('the banner says where it listens, where data goes and what to type', () => {
  const banner = renderBanner({ ...started, pulse: { address: '127.0.0.1', port: 5001 } })
  for (const line of [
    'Berth 1.0.0',
    '  registry  http://127.0.0.1:5000',
    '  data      /srv/berth',
    '  pulse     http://127.0.0.1:5001: /healthz /readyz /metrics',
    '    docker push 127.0.0.1:5000/alpine',
  ]) {
    assert.ok(banner.split('\n').includes(line), line)
  }
})

test('what one types works also when it listens everywhere, or on IPv6', () => {
  assert.match(renderBanner({ ...started, address: '0.0.0.0' }), /docker push 127.0.0.1:5000\//)
  assert.match(renderBanner({ ...started, address: '::' }), /docker push \[::1\]:5000\//)
  assert.match(renderBanner({ ...started, address: '::1' }), /http:\/\/\[::1\]:5000\n/)
  assert.match(renderBanner(started), /pulse {5}off/)
})
