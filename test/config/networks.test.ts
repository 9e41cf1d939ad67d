import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ConfigError, loadConfig } from '../../src/config/load.ts'
import { renderEffective } from '../../src/config/page.ts'

const load = (text: string, environment: Record<string, string> = {}) =>
  loadConfig({ environment, file: 'berth.yaml', readText: () => text })

const inVariable = (value: string) => load('', { BERTH_LIMITS_TRUSTED_PROXIES: value }).config.limits.trustedProxies

const both = [
  { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
  { address: '::1', prefix: 128, family: 'ipv6' },
]

describe('a list of networks', () => {
  test('is empty by default', () => {
    assert.deepEqual(load('').config.limits.trustedProxies, [])
    assert.deepEqual(inVariable('[]'), [])
  })

  test('is a list in the file, and a list or words in a variable', () => {
    assert.deepEqual(load('limits:\n  trustedProxies: [10.0.0.0/8, "::1"]\n').config.limits.trustedProxies, both)
    assert.deepEqual(load('limits:\n  trustedProxies: 10.0.0.0/8, ::1\n').config.limits.trustedProxies, both)
    for (const value of ['10.0.0.0/8,::1', '10.0.0.0/8 ::1', '["10.0.0.0/8", "::1"]']) {
      assert.deepEqual(inVariable(value), both, value)
    }
    assert.deepEqual(inVariable('192.0.2.7'), [{ address: '192.0.2.7', prefix: 32, family: 'ipv4' }])
  })

  test('is printed as it was written', () => {
    const { settingOf } = load('', { BERTH_LIMITS_TRUSTED_PROXIES: '10.0.0.0/8, ::1' })
    assert.match(renderEffective(settingOf), /trustedProxies: "10\.0\.0\.0\/8, ::1" # BERTH_LIMITS_TRUSTED_PROXIES/)
  })

  test('says which entry is wrong', () => {
    for (const wrong of ['10.0.0.0/33', 'proxy.example', '::1/129', '10.0.0/8', 'fe80::1%eth0', '10.0.0.0/']) {
      assert.throws(
        () => load(`limits:\n  trustedProxies: [192.0.2.7, "${wrong}"]\n`),
        (error) => error instanceof ConfigError && error.message.includes('trustedProxies[1]: found'),
        wrong,
      )
    }
    assert.throws(() => load('limits:\n  trustedProxies: { a: 1 }\n'), ConfigError)
    assert.throws(() => inVariable('1.1.1.1,'.repeat(101)), ConfigError)
  })
})
