import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  algorithmOf,
  computeDigest,
  createHasher,
  digestAlgorithms,
  digestOf,
  hexOf,
  isDigest,
  parseAlgorithm,
  parseDigest,
} from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'

const isRefusal = (error: unknown): boolean => error instanceof OciError && error.code === 'DIGEST_INVALID'
const lengths = { sha256: 64, sha512: 128 }

describe('digests', () => {
  for (const algorithm of digestAlgorithms) {
    test(`the ${algorithm} of bytes is that of node:crypto, and is read back`, () => {
      fc.assert(
        fc.property(fc.uint8Array(), (bytes) => {
          const digest = computeDigest(algorithm, bytes)
          assert.equal(digest, `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`)
          assert.equal(parseDigest(digest), digest)
          assert.equal(algorithmOf(digest), algorithm)
          assert.equal(hexOf(digest).length, lengths[algorithm])
        }),
      )
    })

    test(`a running ${algorithm} is the same as that of the whole`, () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array()), (chunks) => {
          const hasher = createHasher(algorithm)
          for (const chunk of chunks) hasher.update(chunk)
          assert.equal(digestOf(algorithm, hasher.copy()), computeDigest(algorithm, Buffer.concat(chunks)))
        }),
      )
    })
  }

  const hex = '0123456789abcdef'.repeat(4)
  const malformed = [
    '',
    ':',
    'sha256',
    'sha256:',
    hex,
    `sha256:${hex}0`,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex.toUpperCase()}`,
    `SHA256:${hex}`,
    `sha512:${hex}`,
    `md5:${hex.slice(32)}`,
    `sha256:${hex}\n`,
    ` sha256:${hex}`,
    `sha256::${hex.slice(1)}`,
    `sha256:${hex.slice(1)}g`,
    `sha256:${hex.slice(1)}０`,
    `__proto__:${hex}`,
    `sha256+b64:${hex}`,
  ]
  for (const text of malformed) {
    test(`${JSON.stringify(text).slice(0, 40)} is none`, () => {
      assert.equal(isDigest(text), false)
      assert.throws(() => parseDigest(text), isRefusal)
    })
  }

  test('whatever the text, it is a digest of the pattern or a refusal', () => {
    const near = fc.tuple(fc.constantFrom('sha256', 'sha512', 'sha384'), fc.stringMatching(/^[0-9a-fA-F]{60,68}$/))
    fc.assert(
      fc.property(
        fc.oneof(
          near.map((parts) => parts.join(':')),
          fc.string(),
        ),
        (text) => {
          assert.equal(isDigest(text), /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(text))
        },
      ),
      { numRuns: 500 },
    )
  })

  test('algorithms: those that are computed, by their exact names', () => {
    for (const algorithm of digestAlgorithms) assert.equal(parseAlgorithm(algorithm), algorithm)
    for (const text of ['', 'SHA256', 'sha-256', 'md5', 'toString', '__proto__']) {
      assert.throws(() => parseAlgorithm(text), isRefusal)
    }
  })
})
