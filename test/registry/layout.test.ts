import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { computeDigest } from '../../src/oci/digest.ts'
import { maxNameLength, parseName, parseTag } from '../../src/oci/name.ts'
import * as layout from '../../src/registry/layout.ts'

const alphanumeric = fc.stringMatching(/^[a-z0-9]{1,4}$/)
const component = fc
  .tuple(alphanumeric, fc.array(fc.tuple(fc.constantFrom('.', '_', '__', '-', '--'), alphanumeric), { maxLength: 2 }))
  .map(([first, rest]) => first + rest.flat().join(''))
const name = fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => parseName(parts.join('/')))
const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,8}$/).map(parseTag)
const digest = fc
  .tuple(fc.constantFrom('sha256' as const, 'sha512' as const), fc.string())
  .map(([algorithm, text]) => computeDigest(algorithm, Buffer.from(text)))

function order(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

describe('a key', () => {
  it('of a repository keeps the order of names, with whatever follows', () => {
    fc.assert(
      fc.property(name, name, tag, tag, (a, b, s, t) => {
        if (a === b) return
        const keys = order(layout.tagKey(a, s), layout.tagKey(b, t))
        assert.equal(Math.sign(keys), Math.sign(order(a, b)), `${a} ${b}`)
        assert.equal(Math.sign(order(layout.manifestsPrefix(a), layout.manifestsPrefix(b))), Math.sign(order(a, b)))
      }),
    )
  })

  it('of a tag keeps the order of tags, and no two differ by case alone', () => {
    fc.assert(
      fc.property(tag, tag, (a, b) => {
        const repository = parseName('a')
        const [ka, kb] = [layout.tagKey(repository, a), layout.tagKey(repository, b)]
        assert.equal(Math.sign(order(ka, kb)), Math.sign(order(a, b)))
        assert.equal(ka.toLowerCase(), ka)
        assert.equal(layout.parseTagKey(ka), a)
      }),
    )
  })

  it('is read back as what it was made from', () => {
    fc.assert(
      fc.property(name, tag, digest, digest, fc.uuid(), (repository, t, d, other, push) => {
        assert.equal(layout.parseLinkKey(layout.linkKey(d, repository)), repository)
        assert.equal(layout.parseCatalogEntry(layout.manifestsPrefix(repository)), repository)
        const tagHint = layout.parseHintKey(layout.tagHintKey(repository, d, t, push))
        assert.deepEqual(tagHint, { kind: 'tag', tag: t, push })
        for (const kind of ['index', 'referrer'] as const) {
          const hint = layout.parseHintKey(layout.manifestHintKey(repository, d, kind, other, push))
          assert.deepEqual(hint, { kind, digest: other, push })
        }
        assert.equal(layout.parseHintKey(layout.manifestMarkKey(repository, d, push, push)), undefined)
      }),
    )
    assert.equal(layout.parseClaimKey(layout.claimKey('id', 1234)), 1234)
    assert.equal(layout.parseClaimKey(layout.sessionKey('id')), undefined)
  })

  it('fits a file system whatever the client invents: segments of at most 255 bytes', () => {
    const longest = parseName(`a/${'b'.repeat(maxNameLength - 2)}`)
    const longTag = parseTag(`${'A'.repeat(72)}${'b'.repeat(56)}`)
    const sha512 = computeDigest('sha512', Buffer.alloc(0))
    const push = '00000000-0000-4000-8000-000000000000'
    const keys = [
      layout.renewalKey('id', longest),
      layout.tagHintKey(longest, sha512, longTag, push),
      layout.manifestHintKey(longest, sha512, 'referrer', sha512, push),
      layout.manifestMarkKey(longest, sha512, push, push),
      layout.closedAsKey('id', sha512),
    ]
    for (const key of keys) for (const segment of key.split('/')) assert.ok(segment.length <= 255, segment)
    for (const key of keys) assert.ok(key.length <= 1024, key)
  })

  it('of marks sorts before segments, segments before renewals; hints of one kind stand together', () => {
    const repository = parseName('a')
    const keys = [layout.dataMarkKey('id', 'x'), layout.segmentKey('id', 0, 'x'), layout.renewalKey('id', repository)]
    assert.deepEqual(keys.toSorted(order), keys)
    assert.ok(layout.isDataMark(keys[0] ?? ''))
  })
})
