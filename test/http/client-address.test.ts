import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, test } from 'node:test'
import { createClientAddress } from '../../src/http/client-address.ts'
import type { Network } from '../../src/http/networks.ts'

const proxies: readonly Network[] = [
  { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
  { address: 'fd00::', prefix: 8, family: 'ipv6' },
]

/** The client of a request that came from `remote` with an `X-Forwarded-For`. */
function clientOf(remote: string | undefined, forwarded?: string, trusted = proxies): string | undefined {
  const request = new IncomingMessage(Object.defineProperty(new Socket(), 'remoteAddress', { value: remote }))
  if (forwarded !== undefined) request.headers['x-forwarded-for'] = forwarded
  return createClientAddress(trusted)(request)
}

describe('the client of a request', () => {
  const rows: readonly (readonly [what: string, remote: string, forwarded: string | undefined, client: string])[] = [
    ['is the other end of the connection', '192.0.2.1', undefined, '192.0.2.1'],
    ['is an IPv4 address on a socket of both families, too', '::ffff:192.0.2.1', undefined, '192.0.2.1'],
    ['is not what somebody else claims', '192.0.2.1', '198.51.100.1', '192.0.2.1'],
    ['is whom a trusted proxy names', '10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['is whom a trusted proxy names, by IPv6', 'fd00::1', '2001:db8::1', '2001:db8::1'],
    ['is whom a trusted proxy names, on a socket of both families', '::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1'],
    [
      'is the last that no trusted proxy is: what stands left of it is invented',
      '10.1.2.3',
      '1.1.1.1, 198.51.100.1, 10.9.9.9',
      '198.51.100.1',
    ],
    ['is the proxy when it names nobody', '10.1.2.3', undefined, '10.1.2.3'],
    ['is the first proxy when there are only proxies', '10.1.2.3', '10.4.4.4,10.5.5.5', '10.4.4.4'],
    ['is the proxy when what it names is no address', '10.1.2.3', '198.51.100.1, unknown', '10.1.2.3'],
    ['is the proxy when what it names is empty', '10.1.2.3', '', '10.1.2.3'],
    ['may have a port', '10.1.2.3', '198.51.100.1:4711', '198.51.100.1'],
    ['may stand in brackets', '10.1.2.3', '[2001:db8::1]:4711', '2001:db8::1'],
  ]
  for (const [what, remote, forwarded, client] of rows) {
    test(what, () => assert.equal(clientOf(remote, forwarded), client))
  }

  test('is nobody when the connection is gone', () => {
    assert.equal(clientOf(undefined, '198.51.100.1'), undefined)
    assert.equal(clientOf(undefined, '198.51.100.1', []), undefined)
  })

  test('is the other end of the connection when no proxy is trusted', () => {
    assert.equal(clientOf('10.1.2.3', '198.51.100.1', []), '10.1.2.3')
  })
})
