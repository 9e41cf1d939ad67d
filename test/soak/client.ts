/** One client of a soak: it pushes, pulls, re-tags and deletes at random, retries as real clients do, and writes into the model what it was told. */
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { digestOf } from '../clients/layout.ts'
import type { Random } from '../replicas/random.ts'
import type { Answer, Ask } from './ask.ts'
import { createContent, createImage, createIndex } from './content.ts'
import {
  type Content,
  forgetReplaced,
  type Image,
  mayBeShared,
  type Model,
  sharedTag,
  type SharedWrite,
  type TagFact,
  tagOf,
} from './model.ts'
import { createReader, pathOf } from './reader.ts'
import { createUploader } from './uploads.ts'

export interface ClientOptions {
  readonly name: string
  readonly ask: Ask
  readonly random: Random
  readonly model: Model
  readonly repositories: readonly string[]
  /** Blobs that images of all clients name. */
  readonly sharedBlobs: readonly Content[]
  /** A blob that a client was told about stays for so long. */
  readonly promisedMs: number
  readonly maxBlobBytes: number
  readonly count: (kind: string) => void
}

const refusalSchema = v.object({
  errors: v.array(v.object({ code: v.string(), detail: v.object({ digest: v.string() }) })),
})

/** Images that a client keeps at most, and rounds of "upload again" of one push. */
const maxImages = 12
const maxRounds = 30

/** A client's next operation; it throws when something came that no kill explains. */
export function createClient(options: ClientOptions): () => Promise<void> {
  const { name, ask, random, model, repositories, sharedBlobs, promisedMs, maxBlobBytes, count } = options
  const own: Image[] = []
  const uploader = createUploader(ask, random, repositories, count)
  const reader = createReader(ask, random, model, count)
  let made = 0

  const present = (): Image[] => own.filter(({ state }) => state === 'present')
  const ownTag = (repository: string): TagFact => tagOf(model, repository, `${name}-${random.below(4)}`)
  const nameOf = (): string => `${name} ${++made}`

  function add(image: Image): Image {
    const known = own.find(({ repository, digest }) => repository === image.repository && digest === image.digest)
    if (known !== undefined) return known
    own.push(image)
    model.images.push(image)
    return image
  }

  /** A blob that was promised and is asked for again: its bytes must be there all the same (P3). */
  async function judgeRefusal(image: Image, answer: Answer, promised: ReadonlyMap<string, number>): Promise<void> {
    const { errors } = v.parse(refusalSchema, JSON.parse(answer.body.toString()))
    for (const { code, detail } of errors) {
      if (code !== 'MANIFEST_BLOB_UNKNOWN') throw new Error(`push: ${answer.body.toString()}`)
      const since = promised.get(detail.digest)
      if (since === undefined) {
        model.lost.push(`the index entry ${detail.digest} of ${image.repository}`)
        continue
      }
      if (performance.now() - since >= promisedMs) continue
      count('asked for a promised blob')
      const path = `/v2/${image.repository}/blobs/${detail.digest}`
      const blob = await ask.again({ method: 'GET', path }, [200, 404])
      if (performance.now() - since >= promisedMs || blob.status === 200) continue
      model.lost.push(`${path} was promised ${Math.round(performance.now() - since)} ms ago`)
    }
  }

  async function put(image: Image, reference: string): Promise<void> {
    for (let round = 0; round < maxRounds; round++) {
      const promised = new Map<string, number>()
      await Promise.all(
        image.blobs.map(async (blob) => promised.set(blob.digest, await uploader.hold(image.repository, blob))),
      )
      const headers = { 'content-type': image.mediaType }
      const path = pathOf(image.repository, reference)
      const answer = await ask.again({ method: 'PUT', path, headers, body: image.bytes }, [201, 400])
      if (answer.status === 201) return
      count('push again')
      await judgeRefusal(image, answer, promised)
    }
    throw new Error(`${image.repository}@${image.digest} was refused ${maxRounds} times`)
  }

  /** Pushes an image that is there or not, under a tag. */
  async function push(image: Image, tag = ownTag(image.repository)): Promise<void> {
    const isNew = image.state === 'absent'
    if (isNew) {
      image.state = 'changing'
      image.changes++
    }
    tag.isChanging = true
    tag.changes++
    await put(image, tag.tag)
    tag.image = image
    tag.isChanging = false
    image.state = 'present'
    count(isNew ? (image.children.length > 0 ? 'push index' : 'push') : 're-tag')
  }

  async function pushNew(): Promise<void> {
    const repository = random.pick(repositories)
    const layers = [createContent(random, maxBlobBytes)]
    for (let more = random.below(3); more > 0; more--) layers.push(random.pick(sharedBlobs))
    await push(add(createImage(repository, nameOf(), layers)))
  }

  async function retag(): Promise<void> {
    await push(random.pick(present()))
  }

  async function pushIndex(): Promise<void> {
    const { repository } = random.pick(present())
    const children = present().filter((image) => image.repository === repository && image.children.length === 0)
    if (children.length === 0) return
    await push(add(createIndex(repository, nameOf(), children.slice(0, 1 + random.below(3)))))
  }

  /** The same image in another repository, mostly by mounts. */
  async function copy(): Promise<void> {
    const image = random.pick(present())
    if (image.children.length > 0) return
    await push(add({ ...image, repository: random.pick(repositories), state: 'absent', changes: 0 }))
  }

  async function moveSharedTag(): Promise<void> {
    const image = random.pick(present())
    const write: SharedWrite = { image, beganAt: performance.now(), endedAt: Number.POSITIVE_INFINITY }
    forgetReplaced(model, image.repository)
    model.shared.set(image.repository, [...(model.shared.get(image.repository) ?? []), write])
    await put(image, sharedTag)
    write.endedAt = performance.now()
    count('move the shared tag')
  }

  async function deleteManifest(): Promise<void> {
    const image = random.pick(present())
    if (mayBeShared(model, image)) return
    const path = pathOf(image.repository, image.digest)
    if (present().some(({ children }) => children.includes(image))) {
      await ask.again({ method: 'DELETE', path }, [405])
      count('delete refused')
      return
    }
    const tags = [...model.tags.values()].filter((tag) => tag.image === image)
    image.state = 'changing'
    image.changes++
    for (const tag of tags) {
      tag.isChanging = true
      tag.changes++
    }
    const answer = await deletePatiently(path)
    if (answer.status === 404 && answer.tries === 1) model.lost.push(`${path}, found missing by a DELETE`)
    if (answer.status === 405) throw new Error(`DELETE ${path}: ${answer.body.toString()}`)
    for (const tag of tags) {
      tag.image = undefined
      tag.isChanging = false
    }
    image.state = 'absent'
    count('delete manifest')
    await ask.again({ method: 'HEAD', path }, [404])
    // Remembered, so that it may be pushed again and that its absence is looked at in the end; but not for ever.
    const absent = own.filter(({ state }) => state === 'absent')
    if (absent.length > maxImages) forget(absent[0])
  }

  /**
   * A push of an index whose server was killed names its entries until it is taken back; in a bucket, until a sweeper has then lived for the copy window
   * and two runs, which on a busy machine with kills every three seconds takes minutes.
   */
  async function deletePatiently(path: string): Promise<Answer> {
    const deadline = performance.now() + 300_000
    for (;;) {
      const answer = await ask.again({ method: 'DELETE', path }, [202, 404, 405])
      if (answer.status !== 405 || performance.now() > deadline) return answer
      count('delete refused for a dead push')
      await sleep(500)
    }
  }

  function forget(image: Image | undefined): void {
    for (const list of [own, model.images]) {
      const at = list.findIndex((each) => each === image)
      if (at >= 0) list.splice(at, 1)
    }
  }

  async function deleteTag(): Promise<void> {
    const mine = [...model.tags.values()].filter(({ tag, image }) => image !== undefined && tag.startsWith(`${name}-`))
    if (mine.length === 0) return
    const tag = random.pick(mine)
    tag.isChanging = true
    tag.changes++
    const path = pathOf(tag.repository, tag.tag)
    const answer = await ask.again({ method: 'DELETE', path }, [202, 404])
    if (answer.status === 404 && answer.tries === 1) model.lost.push(`${path}, found missing by a DELETE`)
    tag.image = undefined
    tag.isChanging = false
    count('delete tag')
    await ask.again({ method: 'HEAD', path }, [404])
  }

  async function pushDeleted(): Promise<void> {
    const absent = own.filter(({ state, children }) => state === 'absent' && children.length === 0)
    if (absent.length > 0) await push(random.pick(absent))
  }

  /** A blob that no manifest names: deleted, or left to the sweep. */
  async function loneBlob(): Promise<void> {
    const repository = random.pick(repositories)
    const blob = createContent(random, maxBlobBytes)
    await uploader.hold(repository, blob)
    const path = `/v2/${repository}/blobs/${blob.digest}`
    const { body } = await ask.again({ method: 'GET', path }, [200, 404])
    if (digestOf(body) !== blob.digest) count('lone blob gone')
    if (random.below(2) === 0) return
    await ask.again({ method: 'DELETE', path }, [202, 404])
    count('delete blob')
    await ask.again({ method: 'HEAD', path }, [404])
  }

  async function leaveUpload(): Promise<void> {
    const session = await uploader.begin(random.pick(repositories), createContent(random, maxBlobBytes))
    if (random.below(2) === 0) {
      count('abandon an upload')
      return
    }
    await ask.again({ method: 'DELETE', path: session }, [204, 404])
    count('cancel an upload')
  }

  const always = [pushNew, pushNew, pushNew, loneBlob, leaveUpload]
  const reads = [reader.image, reader.image, reader.image, reader.tag, reader.shared, reader.list]
  const changes = [pushIndex, copy, copy, moveSharedTag, pushDeleted, deleteManifest, deleteManifest, deleteTag, retag]
  const withImages = [...always, ...changes, ...reads]
  return () => {
    const images = present().length
    if (images === 0) return random.pick(always)()
    return (images > maxImages ? deleteManifest : random.pick(withImages))()
  }
}
