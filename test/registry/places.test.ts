import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseName, parseTag } from '../../src/oci/name.ts'
import * as layout from '../../src/registry/layout.ts'
import { untaggedKey } from '../../src/registry/layout-untagged.ts'
import { placeOf } from '../../src/registry/places.ts'
import { sha256 } from './harness.ts'

const repository = parseName('team/app-1.x')
const tag = parseTag('V1')
const digest = sha256('x')

/** Every key that the layout builds, with what it is. */
const keys: Readonly<Record<string, object>> = {
  [layout.formatKey]: { kind: 'single' },
  [layout.scrubKey]: { kind: 'single' },
  [layout.segmentKey('id', 7, 'r')]: { kind: 'segment', id: 'id' },
  [layout.dataMarkKey('id', 'r')]: { kind: 'mark', id: 'id' },
  [layout.dataMarkKey('id', 'damaged-r')]: { kind: 'damage mark', id: 'id' },
  [layout.renewalKey('id', repository)]: { kind: 'renewal', id: 'id' },
  [layout.linkedAsKey('id')]: { kind: 'linked-as', id: 'id' },
  [layout.sessionKey('id')]: { kind: 'session', id: 'id' },
  [layout.claimKey('id', 7)]: { kind: 'claim', id: 'id' },
  [layout.closedAsKey('id', digest)]: { kind: 'closed-as', id: 'id' },
  [layout.closeKey('id', 'r')]: { kind: 'close', id: 'id' },
  [layout.linkKey(digest, repository)]: { kind: 'link', digest, repository },
  [layout.pushManifestKey(repository, 'p')]: { kind: 'push entry', entry: 'manifest', repository },
  [layout.pushTagKey(repository, 'p', 0)]: { kind: 'push entry', entry: 'tag', repository },
  [layout.pushOverKey(repository, 'p')]: { kind: 'push entry', entry: 'over', repository },
  [layout.manifestKey(repository, digest)]: { kind: 'manifest', repository, digest },
  [layout.tagKey(repository, tag)]: { kind: 'tag', repository, tag },
  [layout.tagHintKey(repository, digest, tag, 'p')]: { kind: 'hint', repository, digest },
  [layout.manifestHintKey(repository, digest, 'index', digest, 'p')]: { kind: 'hint', repository, digest },
  [layout.manifestMarkKey(repository, digest, 'p', 'r')]: {
    kind: 'manifest mark',
    repository,
    digest,
    incarnation: 'p',
  },
  [untaggedKey(repository, digest)]: { kind: 'note', repository, digest },
  [layout.garbageKey('r')]: { kind: 'garbage' },
  'scratch/r': { kind: 'scratch' },
}

describe('the place of a key', () => {
  it('is known for every key that the layout builds', () => {
    for (const [key, place] of Object.entries(keys)) assert.deepEqual(placeOf(key), place, key)
  })

  it('is unknown for all others', () => {
    const others = [
      'x',
      'data/id/x',
      'uploads/id/7',
      'uploads/id/as-md5-x',
      'blobs/sha256/00/00/a!',
      'manifests/A!/x',
      'tags/a/b',
      'named/a!/x/y',
      'pushes/a!/p/x',
    ]
    for (const key of others) assert.equal(placeOf(key), undefined, key)
  })

  it('is the key itself, however it is written: another algorithm directory or repository is another key', () => {
    const key = layout.linkKey(digest, repository)
    assert.equal(placeOf(key.replace(/\/[0-9a-f]{2}\//, '/zz/')), undefined)
    assert.equal(placeOf(layout.tagKey(repository, tag).replace('^v1', 'V1')), undefined)
  })
})
