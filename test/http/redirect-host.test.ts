import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dropsCredentials } from '../../src/http/redirect.ts'

test('a client drops its credentials on the way to another host that is not below ours', () => {
  const rows: readonly [host: string | undefined, url: string, drops: boolean][] = [
    ['registry.example.com', 'https://s3.example.com/b/k?s', true],
    ['s3.example.com', 'https://s3.example.com/b/k?s', false],
    ['s3.example.com:5000', 'https://s3.example.com:9000/b/k?s', false],
    ['S3.Example.Com', 'https://s3.example.com/b/k?s', false],
    ['s3.example.com.', 'https://s3.example.com/b/k?s', false],
    ['s3.example.com', 'https://s3.example.com./b/k?s', false],
    // Go's net/http keeps `Authorization` for names below the first one.
    ['example.com', 'https://bucket.s3.example.com/k?s', false],
    ['ample.com', 'https://s3.example.com/k?s', true],
    ['bucket.s3.example.com', 'https://s3.example.com/k?s', true],
    ['127.0.0.1:5000', 'http://localhost:9000/b/k', true],
    ['127.0.0.1:5000', 'http://127.0.0.1:9000/b/k', false],
    ['[::1]:5000', 'http://[0:0:0:0:0:0:0:1]/b/k', false],
    ['[::1]', 'http://[::2]:5000/b/k', true],
    [undefined, 'https://s3.example.com/b/k', false],
    ['', 'https://s3.example.com/b/k', false],
    ['a:b', 'https://s3.example.com/b/k', false],
    ['registry.example.com', 'no URL', false],
  ]
  for (const [host, url, drops] of rows) assert.equal(dropsCredentials(host, url), drops, `${host} ${url}`)
})
