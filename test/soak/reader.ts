/** Reads of a soak: whatever was acknowledged, and is not being changed, must be served as it was pushed. */
import * as v from 'valibot'
import { digestOf } from '../clients/layout.ts'
import type { Random } from '../replicas/random.ts'
import type { Answer, Ask } from './ask.ts'
import {
  type Image,
  isShared,
  mayRead,
  type Model,
  type Retained,
  type RetainedTag,
  sharedTag,
  type TagFact,
} from './model.ts'
import { mustStay } from './rules.ts'

export function pathOf(repository: string, reference: string): string {
  return `/v2/${repository}/manifests/${reference}`
}

/** The paths of all that a pull of an image reads, with the digests. */
export function partsOf(image: Image): (readonly [path: string, digest: string])[] {
  const { repository, digest, blobs, children } = image
  return [
    [pathOf(repository, digest), digest] as const,
    ...blobs.map((blob) => [`/v2/${repository}/blobs/${blob.digest}`, blob.digest] as const),
    ...children.flatMap(partsOf),
  ]
}

export interface Reader {
  /** Any client's image, whole. */
  readonly image: () => Promise<void>
  /** Any client's tag. */
  readonly tag: () => Promise<void>
  readonly shared: () => Promise<void>
  /** The tags of a repository. */
  readonly list: () => Promise<void>
  readonly pull: (image: Image) => Promise<void>
  readonly pullTag: (fact: TagFact) => Promise<void>
  readonly pullShared: (repository: string) => Promise<void>
  /** Everything that a tag leads to, as long as the retention rules keep it. */
  readonly pullRetained: (retained: Retained, fact: RetainedTag) => Promise<void>
}

export function createReader(ask: Ask, random: Random, model: Model, count: (kind: string) => void): Reader {
  const get = (path: string): Promise<Answer> => ask.again({ method: 'GET', path }, [200, 404])

  async function image(): Promise<void> {
    const candidates = model.images.filter(({ state }) => state === 'present')
    if (candidates.length > 0) await pull(random.pick(candidates))
  }

  async function pull(image: Image): Promise<void> {
    const { changes, state } = image
    if (state === 'absent') {
      const answer = await get(pathOf(image.repository, image.digest))
      if (image.changes === changes && answer.status !== 404) model.problems.push(`${image.digest} is back`)
    }
    if (state !== 'present') return
    for (const [path, digest] of partsOf(image)) {
      const answer = await get(path)
      // Somebody deletes it meanwhile: nothing is promised any more.
      if (image.changes !== changes) return
      if (answer.status !== 200) model.lost.push(`${path} of ${image.digest}: ${answer.status}`)
      else if (digestOf(answer.body) !== digest) model.lost.push(`${path}: other bytes, ${answer.body.length}`)
    }
    count('pull')
  }

  async function tag(): Promise<void> {
    const candidates = [...model.tags.values()].filter(({ isChanging }) => !isChanging)
    if (candidates.length > 0) await pullTag(random.pick(candidates))
  }

  async function pullTag(fact: TagFact): Promise<void> {
    const { changes, image, repository, tag, isChanging } = fact
    if (isChanging) return
    const path = pathOf(repository, tag)
    const answer = await get(path)
    if (fact.changes !== changes) return
    count('pull by tag')
    const found = answer.status === 200 ? digestOf(answer.body) : undefined
    if (found !== image?.digest) model.lost.push(`${path} names ${found}, not ${image?.digest}`)
  }

  async function shared(): Promise<void> {
    const [...written] = model.shared.keys()
    if (written.length > 0) await pullShared(random.pick(written))
  }

  async function pullShared(repository: string): Promise<void> {
    const path = pathOf(repository, sharedTag)
    const beganAt = performance.now()
    const answer = await get(path)
    count('pull by tag')
    const found = answer.status === 200 ? digestOf(answer.body) : undefined
    const isRight =
      found === undefined
        ? !isShared(model, repository, beganAt)
        : mayRead(model, repository, found, answer.beganAt, performance.now())
    if (!isRight) model.lost.push(`${path} names ${found}`)
  }

  async function list(): Promise<void> {
    const settled = [...model.tags.values()].filter(({ isChanging, image }) => !isChanging && image !== undefined)
    if (settled.length === 0) return
    const { repository } = random.pick(settled)
    const expected = settled
      .filter((fact) => fact.repository === repository)
      .map((fact) => [fact, fact.changes] as const)
    const answer = await get(`/v2/${repository}/tags/list?n=10000`)
    count('list tags')
    const listed = answer.status === 404 ? [] : parseTags(answer.body)
    for (const [fact, changes] of expected) {
      if (fact.changes === changes && !listed.includes(fact.tag)) {
        model.lost.push(`${repository}:${fact.tag} is not listed`)
      }
    }
  }

  async function pullRetained(retained: Retained, fact: RetainedTag): Promise<void> {
    const { tag, kind, image: tagged } = fact
    const parts = [[pathOf(retained.repository, tag), tagged.digest] as const, ...partsOf(tagged)]
    for (const [path, digest] of parts) {
      const answer = await get(path)
      if (!mustStay(retained, fact)) return
      const found = answer.status === 200 ? digestOf(answer.body) : answer.status
      if (found !== digest) model.lost.push(`${path} of ${tag}, which must stay: ${found}`)
    }
    count(`retained: pull ${kind}`)
  }

  return { image, tag, shared, list, pull, pullTag, pullShared, pullRetained }
}

function parseTags(body: Buffer): readonly string[] {
  return v.parse(v.object({ tags: v.array(v.string()) }), JSON.parse(body.toString())).tags
}
