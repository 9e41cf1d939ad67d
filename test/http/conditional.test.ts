import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowsRange, entityTagOf, isNotModified } from '../../src/http/conditional.ts'
import { computeDigest } from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'

const digest = computeDigest('sha256', Buffer.from('a'))
const tag = entityTagOf(digest)
const other = entityTagOf(computeDigest('sha256', Buffer.from('b')))

test('the entity tag is the quoted digest', () => assert.equal(tag, `"${digest}"`))

for (const list of [tag, `W/${tag}`, '*', ` ${tag} `, `${other}, ${tag}`, `${other},W/${tag}`]) {
  test(`If-None-Match knows the content: ${list.replaceAll(digest, 'D').slice(0, 30)}`, () => {
    assert.equal(isNotModified({ 'if-none-match': list }, digest), true)
  })
}

for (const list of [other, `W/${other}`, '', digest, `"${digest}`, `w/${tag}`]) {
  test(`If-None-Match does not know the content: "${list.slice(0, 12)}"`, () => {
    assert.equal(isNotModified({ 'if-none-match': list }, digest), false)
  })
}

test('without a condition nothing is known', () => assert.equal(isNotModified({}, digest), false))

test('If-Match: the tag or * goes through, all else is PRECONDITION_FAILED', () => {
  for (const list of [tag, '*', `${other}, ${tag}`]) assert.equal(isNotModified({ 'if-match': list }, digest), false)
  for (const list of [other, `W/${tag}`, '']) {
    assert.throws(
      () => isNotModified({ 'if-match': list }, digest),
      (error) => error instanceof OciError && error.code === 'PRECONDITION_FAILED',
    )
  }
})

test('If-Range: only the strong tag lets a range be answered', () => {
  assert.equal(allowsRange(undefined, digest), true)
  assert.equal(allowsRange(tag, digest), true)
  for (const value of [other, `W/${tag}`, '*', 'Tue, 24 Nov 2026 12:00:00 GMT']) {
    assert.equal(allowsRange(value, digest), false, value)
  }
})
