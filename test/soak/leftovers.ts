/** What is in the store when a soak is over, held against the model: every key has a reason, or it was left over. */
import { parseDigest } from '../../src/oci/digest.ts'
import { parseName, parseTag } from '../../src/oci/name.ts'
import { readName } from '../../src/registry/key-text.ts'
import * as layout from '../../src/registry/layout.ts'
import { isUntaggedKey } from '../../src/registry/layout-untagged.ts'
import { decodeLink, decodeManifest, decodeTag } from '../../src/registry/records.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { listAll } from '../../src/storage/list-all.ts'
import type { Model } from './model.ts'
import { findStaying } from './rules.ts'

/** What a process that was killed left at something that lives, or wrote for something already dead: by the documents, the scrub's. */
export type ScrubKind =
  | 'link that shares living bytes'
  | 'mark on a living manifest'
  | 'mark on living bytes'
  | 'body of a living upload that lost its claim'
  | 'body or renewal of a dead upload'
  | 'hint that leads nowhere'
  | 'note on a manifest that is gone'
  | 'scratch of a start that was killed, less than an hour old'

export interface Leftovers {
  readonly keys: number
  /** Expected and not in the store. */
  readonly missing: string[]
  /** In the store without a reason. */
  readonly left: string[]
  readonly scrubs: Map<ScrubKind, string[]>
  /** Links of bytes that are gone: they stay where the store looks before it removes (DESIGN, section 3). */
  readonly deadLinks: string[]
}

interface Expected {
  readonly manifests: ReadonlySet<string>
  readonly tags: ReadonlySet<string>
  readonly links: ReadonlySet<string>
}

function expect(model: Model): Expected {
  const manifests = new Set<string>()
  const links = new Set<string>()
  for (const { repository, digest, blobs, state } of model.images) {
    if (state !== 'present') continue
    const name = parseName(repository)
    manifests.add(layout.manifestKey(name, parseDigest(digest)))
    for (const blob of blobs) links.add(layout.linkKey(parseDigest(blob.digest), name))
  }
  const tags = new Set<string>()
  for (const { repository, tag, image } of model.tags.values()) {
    if (image !== undefined) tags.add(layout.tagKey(parseName(repository), parseTag(tag)))
  }
  for (const retained of model.retained) {
    const name = parseName(retained.repository)
    for (const { tag, image } of findStaying(retained)) {
      tags.add(layout.tagKey(name, parseTag(tag)))
      for (const each of [image, ...image.children]) {
        manifests.add(layout.manifestKey(name, parseDigest(each.digest)))
        for (const blob of each.blobs) links.add(layout.linkKey(parseDigest(blob.digest), name))
      }
    }
  }
  for (const [repository, writes] of model.shared) {
    if (writes.length > 0) tags.add(layout.tagKey(parseName(repository), parseTag('latest')))
  }
  return { manifests, tags, links }
}

/** Whether a hint or a mark of `named/` means something that is there. */
async function isMeant(driver: Driver, key: string): Promise<boolean> {
  const [, segment = '', digest = ''] = key.split('/')
  const hint = layout.parseHintKey(key)
  if (hint === undefined) {
    const manifest = await driver.read(`manifests/${segment}/${digest}`)
    return manifest !== undefined && decodeManifest(manifest.bytes).push === layout.parseManifestMark(key)
  }
  if (hint.kind !== 'tag') {
    const naming = await driver.read(`manifests/${segment}/${hint.digest.replace(':', '-')}`)
    return naming !== undefined && decodeManifest(naming.bytes).push === hint.push
  }
  const stored = await driver.read(layout.tagKey(readName(segment), hint.tag))
  const tag = stored && decodeTag(stored.bytes)
  return tag?.push === hint.push && tag.digest.replace(':', '-') === digest
}

interface Links {
  /** Segments and repositories of the ids that expected links name. */
  readonly living: Map<string, Set<string>>
  /** Links of no image, with the id they name. */
  readonly unused: Map<string, string>
}

async function readLinks(driver: Driver, keys: readonly string[], expected: Expected): Promise<Links> {
  const links: Links = { living: new Map(), unused: new Map() }
  for (const key of keys.filter((each) => each.startsWith('blobs/'))) {
    const stored = await driver.read(key)
    if (stored === undefined) continue
    const { id, segments } = decodeLink(stored.bytes)
    if (expected.links.has(key)) links.living.set(id, new Set(segments.map((segment) => segment.key)))
    else links.unused.set(key, id)
  }
  return links
}

/** Why a key of `data/` is there; `undefined` when the bytes are needed. */
function judgeData(key: string, { living }: Links): ScrubKind | undefined {
  const segments = living.get(key.split('/')[1] ?? '')
  if (segments === undefined) return 'body or renewal of a dead upload'
  if (layout.isDataMark(key)) return 'mark on living bytes'
  return layout.isAboutData(key) || segments.has(key) ? undefined : 'body of a living upload that lost its claim'
}

/** Looks at every key once. Nobody may write meanwhile. */
export async function findLeftovers(driver: Driver, model: Model): Promise<Leftovers> {
  const expected = expect(model)
  const keys: string[] = []
  for await (const { key } of listAll(driver, '', { times: true })) keys.push(key)
  const there = new Set(keys)
  const wanted = [...expected.manifests, ...expected.tags, ...expected.links]
  const found: Leftovers = {
    keys: keys.length,
    missing: wanted.filter((key) => !there.has(key)),
    left: [],
    scrubs: new Map(),
    deadLinks: [],
  }
  const links = await readLinks(driver, keys, expected)
  const ids = new Set(keys.filter((key) => key.startsWith('data/')).map((key) => key.split('/')[1] ?? ''))
  const hasBytes = (id: string): boolean => ids.has(id)
  for (const segments of links.living.values()) found.missing.push(...[...segments].filter((key) => !there.has(key)))
  const scrub = (kind: ScrubKind, key: string): void =>
    void found.scrubs.set(kind, [...(found.scrubs.get(kind) ?? []), key])
  for (const key of keys) {
    const [top = ''] = key.split('/')
    if (
      top === 'berth' ||
      top === 'scrub' ||
      expected.manifests.has(key) ||
      expected.tags.has(key) ||
      expected.links.has(key)
    )
      continue
    if (top === 'data') {
      const kind = judgeData(key, links)
      if (kind !== undefined) scrub(kind, key)
    } else if (top === 'scratch' && Date.now() - ((await driver.stat(key))?.modified ?? 0) < 3_600_000) {
      scrub('scratch of a start that was killed, less than an hour old', key)
    } else if (top === 'blobs' && links.living.has(links.unused.get(key) ?? '')) {
      scrub('link that shares living bytes', key)
    } else if (top === 'blobs' && driver.removal === 'looks first' && !hasBytes(links.unused.get(key) ?? '')) {
      found.deadLinks.push(key)
    } else if (top === 'named') {
      const isMark = layout.parseHintKey(key) === undefined
      if (isUntaggedKey(key)) {
        const [, segment = '', digest = ''] = key.split('/')
        if (!there.has(`manifests/${segment}/${digest}`)) scrub('note on a manifest that is gone', key)
      } else if (!(await isMeant(driver, key))) {
        if (isMark) found.left.push(key)
        else scrub('hint that leads nowhere', key)
      } else if (isMark) scrub('mark on a living manifest', key)
    } else found.left.push(key)
  }
  return found
}
