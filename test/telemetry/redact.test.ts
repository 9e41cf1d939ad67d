import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLogger } from '../../src/telemetry/logger.ts'

/** A line of each format with one field. */
function linesWith(name: string, value: unknown): string[] {
  return (['json', 'pretty'] as const).map((format) => {
    const lines: string[] = []
    const write = (line: string): void => void lines.push(line)
    createLogger({ level: 'info', format, write, now: () => new Date(0) }).info('it', { [name]: value })
    return lines.join('')
  })
}

const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl'

/** Texts with a secret, and the secret. */
const texts: readonly (readonly [text: string, secret: string])[] = [
  ['Authorization: Bearer abc.def-123', 'abc.def-123'],
  ['authorization: basic YW5uOmh1bnRlcjI=', 'YW5uOmh1bnRlcjI='],
  ['GET https://ann:hunter2@registry.example/v2/ failed', 'hunter2'],
  ['https://ann@registry.example/', 'ann@'],
  ['/v2/a/blobs/uploads/1?_state=S3CR3T&digest=sha256:0', 'S3CR3T'],
  ['/token?service=x&refresh_token=S3CR3T', 'S3CR3T'],
  ['https://bucket.example/k?X-Amz-Credential=AKIA0&X-Amz-Signature=S3CR3T&x=1', 'S3CR3T'],
  ['https://bucket.example/k?X-Amz-Credential=AKIA0&X-Amz-Signature=1', 'AKIA0'],
  ['https://account.example/k?sv=1&sig=S3CR3T', 'S3CR3T'],
  [`rejected ${token}`, token],
]

describe('secrets stay out of the log', () => {
  for (const [text, secret] of texts) {
    test(`in ${text}`, () => {
      const error = Object.assign(new Error(text, { cause: new Error(text) }), { url: text })
      for (const value of [text, { deep: [text] }, error]) {
        for (const line of linesWith('note', value)) {
          assert.ok(line.includes('(secret)'), line)
          assert.ok(!line.includes(secret), line)
        }
      }
    })
  }

  for (const name of ['authorization', 'Cookie', 'password', 'clientSecret', 'accessToken', '_state', 'credentials']) {
    test(`in a field that is called ${name}`, () => {
      for (const value of ['S3CR3T', ['S3CR3T'], { it: 'S3CR3T' }]) {
        for (const line of [...linesWith(name, value), ...linesWith('headers', { [name]: value })]) {
          assert.ok(line.includes('(secret)'), line)
          assert.ok(!line.includes('S3CR3T'), line)
        }
      }
    })
  }

  test('in a message', () => {
    const lines: string[] = []
    const write = (line: string): void => void lines.push(line)
    createLogger({ level: 'info', format: 'json', write, now: () => new Date(0) }).warn('Bearer S3CR3T was refused')
    assert.match(lines.join(''), /"message":"Bearer \(secret\) was refused"/)
  })

  test('what is no secret stays as it is', () => {
    const plain = [
      'https://registry.example/v2/team/app/tags/list?n=100&last=v1',
      'docker/28.1 (linux; https://docs.example)',
      'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    ]
    for (const text of plain) assert.ok(linesWith('note', text)[0]?.includes(`"note":"${text}"`), text)
  })
})
