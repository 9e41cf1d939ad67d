import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeErrors, toOciError } from '../../src/http/errors.ts'
import { type ErrorCode, errorTable, OciError } from '../../src/oci/errors.ts'
import { StorageError } from '../../src/storage/driver.ts'
import { memory, startRegistry } from './harness.ts'

test('a refusal is answered as it is', () => {
  const refusal = new OciError('NAME_INVALID', 'no')
  assert.equal(toOciError(refusal, 'id'), refusal)
})

for (const [reason, code, status] of [
  ['full', 'STORAGE_FULL', 507],
  ['unavailable', 'UNAVAILABLE', 503],
  ['read-only', 'UNAVAILABLE', 503],
] as const) {
  test(`a store that is ${reason} is ${status} ${code}`, () => {
    const cause = new StorageError(reason, 'of the operator')
    const answered = toOciError(cause, 'id')
    assert.deepEqual([answered.code, answered.status], [code, status])
    assert.equal(answered.cause, cause)
    assert.ok(!answered.message.includes('operator'))
  })
}

test('anything else is 500 UNKNOWN and tells the request id only', () => {
  for (const thrown of [
    new Error('internals'),
    'internals',
    undefined,
    { status: 404, expose: true, message: 'internals' },
  ]) {
    const answered = toOciError(thrown, 'id-1')
    assert.deepEqual([answered.code, answered.status, answered.detail], ['UNKNOWN', 500, { requestId: 'id-1' }])
    assert.ok(!answered.message.includes('internals'))
  }
})

test('429 and 503 carry Retry-After, whoever refuses; nothing else does', async () => {
  let code: ErrorCode = 'UNKNOWN'
  const authoriser = {
    may: () => {
      throw new OciError(code, 'refused')
    },
  }
  const registry = await startRegistry(memory, { adapt: (dependencies) => ({ ...dependencies, authoriser }) })
  try {
    for (const [name, { status }] of Object.entries(errorTable)) {
      code = isCode(name) ? name : code
      const answer = await registry.send('GET', '/v2/a/tags/list')
      assert.equal(answer.status, status)
      assert.equal(answer.headers['retry-after'], status === 429 || status === 503 ? '5' : undefined, name)
    }
  } finally {
    await registry.close()
  }
})

function isCode(name: string): name is ErrorCode {
  return name in errorTable
}

test('the body is that of distribution-spec v1.1.1, "Error Codes"', () => {
  const text = encodeErrors([
    { code: 'DENIED', message: 'm' },
    { code: 'UNKNOWN', message: 'n', detail: 1 },
  ]).toString()
  assert.equal(text, '{"errors":[{"code":"DENIED","message":"m"},{"code":"UNKNOWN","message":"n","detail":1}]}')
})
