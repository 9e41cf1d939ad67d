import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { clientKey, createRateLimiter } from '../../src/http/rate-limit.ts'
import { codesOf, memory, startRegistry, until } from './harness.ts'

test('one client is an IPv4 address, or a /64 of IPv6', () => {
  const keys: Readonly<Record<string, string>> = {
    '192.0.2.1': '192.0.2.1',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:DB8:0001:2::': '2001:db8:1:2::/64',
    '2001:db8::5': '2001:db8:0:0::/64',
    '::1': '0:0:0:0::/64',
    'fe80::1': 'fe80:0:0:0::/64',
    '1:2:3:4:5:6:1.2.3.4': '1:2:3:4::/64',
    '64:ff9b::192.0.2.1': '64:ff9b:0:0::/64',
    '1::2:3:4:5:1.2.3.4': '1:0:2:3::/64',
  }
  for (const [address, key] of Object.entries(keys)) assert.equal(clientKey(address), key, address)
})

describe('the bucket of an address', () => {
  const limits = { requestsPerSecond: 2, requestBurst: 3, maxAddresses: 2 }

  test('has so many tokens at once, and gets some back as time goes by', () => {
    let now = 0
    const take = createRateLimiter(limits, () => now)
    const takes = (count: number): number[] => Array.from({ length: count }, () => take('192.0.2.1'))
    assert.deepEqual(takes(4), [0, 0, 0, 500])
    now = 250
    assert.deepEqual(takes(1), [250])
    now = 500
    assert.deepEqual(takes(2), [0, 500])
    now = 1_000_000
    assert.deepEqual(takes(4), [0, 0, 0, 500])
  })

  test('is its own; the one that was away longest is forgotten', () => {
    const take = createRateLimiter(limits, () => 0)
    for (let i = 0; i < 3; i++) take('192.0.2.1')
    assert.equal(take('192.0.2.2'), 0)
    assert.ok(take('192.0.2.1') > 0)
    assert.equal(take('192.0.2.3'), 0)
    assert.ok(take('192.0.2.1') > 0, 'it was here just now')
    assert.equal(take('192.0.2.2'), 0)
    assert.equal(take('192.0.2.2'), 0)
    assert.equal(take('192.0.2.2'), 0, 'a new bucket: the old one was forgotten')
  })
})

describe('requests of one address', () => {
  test('beyond the limit are 429 with when to come again, others are not held up', async () => {
    let now = 0
    const registry = await startRegistry(memory, {
      limits: {
        requestsPerSecond: 0.1,
        requestBurst: 2,
        trustedProxies: [{ address: '127.0.0.1', prefix: 32, family: 'ipv4' }],
      },
      adapt: (dependencies) => ({ ...dependencies, monotonicMs: () => now }),
    })
    try {
      const ask = (client: string) => registry.send('GET', '/v2/', { headers: { 'X-Forwarded-For': client } })
      assert.equal((await ask('192.0.2.1')).status, 200)
      assert.equal((await ask('192.0.2.1')).status, 200)
      const refused = await ask('192.0.2.1')
      assert.equal(refused.status, 429)
      assert.deepEqual(codesOf(refused), ['TOOMANYREQUESTS'])
      assert.equal(refused.headers['retry-after'], '10')
      assert.equal((await ask('192.0.2.2')).status, 200)
      await until(() => registry.log.length === 4)
      assert.deepEqual(
        registry.log.map(({ route, address, status }) => [route, address, status]),
        [
          ['end-1', '192.0.2.1', 200],
          ['end-1', '192.0.2.1', 200],
          ['limited', '192.0.2.1', 429],
          ['end-1', '192.0.2.2', 200],
        ],
      )
      now = 10_000
      assert.equal((await ask('192.0.2.1')).status, 200)
    } finally {
      await registry.close()
    }
  })

  test('are not limited by default, and nobody is believed who names another', async () => {
    const registry = await startRegistry(memory)
    try {
      for (let i = 0; i < 50; i++) {
        assert.equal((await registry.send('GET', '/v2/', { headers: { 'X-Forwarded-For': '192.0.2.1' } })).status, 200)
      }
      assert.ok(registry.log.every(({ address }) => address === '127.0.0.1'))
    } finally {
      await registry.close()
    }
  })
})
