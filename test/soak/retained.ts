/** What a client of a soak does in a repository that has retention rules and that only this client writes: so it is known which tags must stay. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../replicas/random.ts'
import type { Ask } from './ask.ts'
import { createContent, createImage, createIndex } from './content.ts'
import type { Content, Image, Model, Retained, RetainedTag } from './model.ts'
import { createReader, pathOf } from './reader.ts'
import { findStaying, mustStay } from './rules.ts'
import { createUploader } from './uploads.ts'

const kinds = ['stay', 'old', 'last'] as const

export interface RetainedOptions {
  readonly name: string
  readonly ask: Ask
  readonly random: Random
  readonly model: Model
  /** Other repositories, to mount from. */
  readonly repositories: readonly string[]
  readonly sharedBlobs: readonly Content[]
  readonly maxBlobBytes: number
  /** What two of the store's times may differ by that were the same, in ms. */
  readonly tickMs: number
  readonly count: (kind: string) => void
}

/** Images remembered to be pushed again once nothing may name them, and rounds of one push. */
const maxFormer = 8
const maxRounds = 30

/** The client's next operation. */
export function createRetainedClient(options: RetainedOptions): () => Promise<void> {
  const { name, ask, random, model, repositories, sharedBlobs, maxBlobBytes, tickMs, count } = options
  const uploader = createUploader(ask, random, repositories, count)
  const reader = createReader(ask, random, model, count)
  const retained: Retained = { repository: `retained/${name}`, tickMs, tags: new Map() }
  const { repository, tags } = retained
  model.retained.push(retained)
  const former: Image[] = []
  let made = 0

  function createAny(): Image {
    const layers = [createContent(random, maxBlobBytes), random.pick(sharedBlobs)]
    return createImage(repository, `retained ${name} ${++made}`, layers)
  }

  /** Entries go first and by digest; those that retention took meanwhile are brought again. */
  async function put(image: Image, reference: string): Promise<void> {
    for (let round = 0; round < maxRounds; round++) {
      for (const child of image.children) await put(child, child.digest)
      await Promise.all(image.blobs.map((blob) => uploader.hold(repository, blob)))
      const headers = { 'content-type': image.mediaType }
      const request = { method: 'PUT', path: pathOf(repository, reference), headers, body: image.bytes } as const
      if ((await ask.again(request, [201, 400])).status === 201) return
      count('retained: push again')
    }
    throw new Error(`${repository}@${image.digest} was refused ${maxRounds} times`)
  }

  function forget(fact: RetainedTag): void {
    tags.delete(fact.tag)
    former.push(fact.image)
    if (former.length > maxFormer) former.shift()
  }

  function createAnyIndex(): Image {
    return createIndex(repository, `retained ${name} ${++made}`, [createAny(), createAny()])
  }

  async function push(): Promise<void> {
    // One that nothing may name any more, or that another tag names; else a new one.
    const known = random.below(2) === 0 ? former : findStaying(retained).map(({ image }) => image)
    const isNew = known.length === 0 || random.below(3) > 0
    const image = isNew ? (random.below(3) === 0 ? createAnyIndex() : createAny()) : random.pick(known)
    const kind = random.pick(kinds)
    // A push that changes nothing would not make the tag one of the last.
    const number = kind === 'stay' ? random.below(3) : kind === 'last' && isNew ? random.below(6) : ++made
    const fact: RetainedTag = { tag: `${kind}-${number}`, kind, image, beganAt: performance.now(), isChanging: true }
    const before = tags.get(fact.tag)
    if (before !== undefined) forget(before)
    tags.set(fact.tag, fact)
    // Of two tags that are written in one tick of the store's clock nobody can tell which is newer.
    await sleep(tickMs + 10)
    await put(image, fact.tag)
    fact.isChanging = false
    count(`retained: push ${kind}`)
    for (const each of tags.values()) if (!mustStay(retained, each)) forget(each)
  }

  async function pull(): Promise<void> {
    const facts = findStaying(retained)
    if (facts.length > 0) await reader.pullRetained(retained, random.pick(facts))
  }

  async function removeTag(): Promise<void> {
    const fact = findStaying(retained).find(({ kind }) => kind === 'stay')
    if (fact === undefined) return
    fact.isChanging = true
    const path = pathOf(repository, fact.tag)
    const answer = await ask.again({ method: 'DELETE', path }, [202, 404])
    if (answer.status === 404 && answer.tries === 1) model.lost.push(`${path}, found missing by a DELETE`)
    forget(fact)
    count('retained: delete tag')
  }

  /** With its tags; of those that are counted none may go, or it would not be known how many are left. */
  async function removeManifest(): Promise<void> {
    const facts = findStaying(retained).filter(
      ({ image }) => ![...tags.values()].some((other) => other.image === image && other.kind === 'last'),
    )
    if (facts.length === 0) return
    const { image } = random.pick(facts)
    const named = [...tags.values()].filter((fact) => fact.image === image)
    const path = pathOf(repository, image.digest)
    for (const fact of named) fact.isChanging = true
    await ask.again({ method: 'DELETE', path }, [202, 404])
    for (const fact of named) forget(fact)
    count('retained: delete manifest')
    await ask.again({ method: 'HEAD', path }, [404])
  }

  const operations = [push, push, push, pull, pull, pull, pull, removeTag, removeManifest]
  return () => random.pick(operations)()
}
