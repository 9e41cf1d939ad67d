import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { OciError } from '../../src/oci/errors.ts'
import { maxNameLength, maxWrittenTagLength, parseName, parseReference, parseTag } from '../../src/oci/name.ts'

/** What a parser says of a text: the text, or the code of its refusal. */
function outcome(parse: (text: string) => unknown, text: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    return error instanceof OciError ? error.code : error
  }
}

/** distribution-spec v1.1.1, "Pulling manifests", as it is printed there. */
const specName = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/
const specTag = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

describe('repository names', () => {
  for (const name of ['a', '0', 'library/nginx', 'a.b_c__d-e---f/g', 'a/b/c/d/e', 'a'.repeat(maxNameLength)]) {
    test(`${name.slice(0, 30)} is one`, () => assert.equal(parseName(name), name))
  }
  const malformed = [
    '',
    '/',
    'A',
    '/a',
    'a/',
    'a//b',
    '.a',
    'a.',
    'a..b',
    'a___b',
    'a._b',
    'a b',
    'a\n',
    '\na',
    'a\0',
    'ä',
    'a:b',
    'a'.repeat(maxNameLength + 1),
  ]
  for (const name of malformed) {
    test(`${JSON.stringify(name).slice(0, 30)} is none`, () => assert.equal(outcome(parseName, name), 'NAME_INVALID'))
  }

  test('what is accepted is what the specification accepts, up to the length', () => {
    const near = fc.array(fc.constantFrom('a', '0', 'z', '.', '_', '-', '/', 'A', ' ')).map((parts) => parts.join(''))
    const valid = fc.stringMatching(specName)
    fc.assert(
      fc.property(fc.oneof(near, valid, fc.string()), (text) => {
        const isName = specName.test(text) && text.length <= maxNameLength
        assert.equal(outcome(parseName, text), isName ? text : 'NAME_INVALID')
      }),
      { numRuns: 500 },
    )
  })

  test('a name that tries every way to be split is refused at once', () => {
    const start = performance.now()
    for (const bad of ['-', '_', '.', 'a']) outcome(parseName, `${`a${bad}`.repeat(100_000)}!`)
    for (const bad of ['a-', 'a', 'a/', '-'.repeat(100)])
      outcome(parseName, `a${bad.repeat(251 / bad.length)}!`.slice(0, 252))
    assert.ok(performance.now() - start < 200)
  })
})

describe('tags', () => {
  test('what is accepted is what the specification accepts, up to the length where a capital counts 2', () => {
    const near = fc.array(fc.constantFrom('a', 'Z', '0', '.', '_', '-', '/', '+'), { maxLength: 140 })
    fc.assert(
      fc.property(
        fc.oneof(
          near.map((parts) => parts.join('')),
          fc.stringMatching(specTag),
          fc.string(),
        ),
        (text) => {
          const capitals = text.replaceAll(/[^A-Z]/g, '').length
          const isTag = specTag.test(text) && text.length + capitals <= maxWrittenTagLength
          assert.equal(outcome(parseTag, text), isTag ? text : 'TAG_INVALID')
        },
      ),
      { numRuns: 500 },
    )
  })

  test('128 characters are a tag, 129 are not', () => {
    assert.equal(outcome(parseTag, 'a'.repeat(128)), 'a'.repeat(128))
    assert.equal(outcome(parseTag, 'a'.repeat(129)), 'TAG_INVALID')
  })
})

describe('references', () => {
  const hex = 'a'.repeat(64)
  test('with a colon it is a digest, else a tag', () => {
    assert.deepEqual(parseReference('v1'), { kind: 'tag', tag: 'v1' })
    assert.deepEqual(parseReference(`sha256:${hex}`), { kind: 'digest', digest: `sha256:${hex}` })
    assert.equal(outcome(parseReference, 'v1:2'), 'DIGEST_INVALID')
    assert.equal(outcome(parseReference, ':'), 'DIGEST_INVALID')
    assert.equal(outcome(parseReference, ''), 'TAG_INVALID')
  })

  test('whatever the text, it is a reference or a refusal', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const result = outcome(parseReference, text)
        assert.ok(typeof result === 'object' || result === 'DIGEST_INVALID' || result === 'TAG_INVALID')
        assert.ok(!(result instanceof Error))
      }),
    )
  })
})
