/** What a registry can be asked, each on the same prepared store. An operation can be done again after it failed. */
import { parseReference } from '../../src/oci/name.ts'
import {
  bodyOf,
  chunkOf,
  elsewhere,
  hour,
  imageOf,
  indexOf,
  ociManifest,
  pushBlob,
  pushImage,
  pushManifest,
  readBlob,
  repo,
  sha256,
} from '../registry/harness.ts'
import { StorageError } from '../../src/storage/driver.ts'
import type { Process, World } from './world.ts'

const by = { by: 'test' }

/** Every blob there may be. */
export const texts = ['config', 'layer', 'other', 'shared', 'lone', 'fresh', 'ab', ''] as const

const first = imageOf('config', ['layer'])
const second = imageOf('config', ['other'])
const fresh = imageOf('config', ['lone'])
const referrer = imageOf('config', ['layer'], {
  subject: { mediaType: ociManifest, digest: sha256(first), size: first.length },
})

/** Two images with tags, an index of one of them, an image in another repository, a blob that no manifest names. */
export async function prepare(world: World): Promise<void> {
  const { registry } = world.start()
  await pushImage(registry, repo, 'first', ['layer'])
  await pushManifest(registry, repo, 'again', first)
  await pushImage(registry, repo, 'second', ['other'])
  await pushManifest(registry, repo, 'index', indexOf(second))
  await pushImage(registry, elsewhere, 'its', ['shared'])
  await pushBlob(registry, repo, 'lone')
}

export interface Operation {
  /** Before the faults begin. */
  readonly before?: (world: World) => Promise<void> | void
  readonly run: (process: Process) => Promise<unknown>
  /** Blobs that the operation may take from under a manifest. */
  readonly takes?: string
}

/** A run that goes on past what the store failed says so: it has not done all. */
async function allOf(run: Promise<{ readonly failed: number; readonly failure?: string }>): Promise<void> {
  const { failed, failure = '' } = await run
  if (failed > 0) throw new StorageError('unavailable', failure)
}

const remove =
  (reference: string) =>
  ({ registry }: Process): Promise<void> =>
    registry.manifests.remove(repo, parseReference(reference))

const put =
  (reference: string, bytes: Buffer) =>
  ({ registry }: Process): Promise<unknown> =>
    pushManifest(registry, repo, reference, bytes)

const upload =
  (text: string) =>
  ({ registry }: Process): Promise<unknown> =>
    pushBlob(registry, repo, text)

async function uploadInChunks({ registry: { uploads } }: Process): Promise<unknown> {
  const { id } = await uploads.start(repo, by)
  await uploads.append(repo, id, chunkOf('a'))
  return uploads.close(repo, id, sha256('ab'), chunkOf('b', 1))
}

export const operations: Readonly<Record<string, Operation>> = {
  'upload a blob at once': { run: upload('fresh') },
  'upload an empty blob': { run: upload('') },
  'upload a blob that another repository has': { run: upload('shared') },
  'upload a blob that is there': { run: upload('layer') },
  'upload in chunks': { run: uploadInChunks },
  'upload with a closing request without body': {
    async run({ registry: { uploads } }) {
      const { id } = await uploads.start(repo, by)
      await uploads.append(repo, id, { body: bodyOf('a', 'b') })
      return uploads.close(repo, id, sha256('ab'), undefined)
    },
  },
  'cancel an upload': {
    async run({ registry: { uploads } }) {
      const { id } = await uploads.start(repo, by)
      await uploads.append(repo, id, chunkOf('a'))
      await uploads.cancel(repo, id)
    },
  },
  'look at a blob whose renewal is due': {
    before: (world) => world.advance(13 * hour),
    run: ({ registry }) => registry.blobs.stat(repo, sha256('lone')),
  },
  'mount a blob': {
    async run({ registry }) {
      const isMounted = await registry.blobs.mount(repo, sha256('shared'), { from: elsewhere, mayPull: () => true })
      if (!isMounted) throw new Error('not mounted')
    },
  },
  'pull a blob': { run: ({ registry }) => readBlob(registry, repo, sha256('layer')) },
  'push a manifest': { run: put('new', fresh) },
  'push a manifest that is there': { run: put('first', first) },
  'push an index': { run: put('both', indexOf(first, second)) },
  'push a referrer': { run: put(sha256(referrer), referrer) },
  'add a tag': { run: put('third', first) },
  'create an immutable tag': { run: put('fixed', fresh) },
  'create an immutable tag of a manifest that is there': { run: put('fixed', first) },
  'move a tag': { run: put('second', first) },
  'move a tag to a new manifest': { run: put('first', fresh) },
  'delete a tag': { run: remove('first') },
  'delete a manifest': { run: remove(sha256(first)) },
  'delete an index': { run: remove(sha256(indexOf(second))) },
  'delete a blob': { run: ({ registry }) => registry.blobs.remove(repo, sha256('layer')), takes: 'layer' },
  sweep: {
    async before(world) {
      const process = world.start()
      await remove(sha256(first))(process)
      await uploadInChunks(process)
      await pushManifest(process.registry, repo, 'chunks', imageOf('config', ['ab']))
      const { id } = await process.registry.uploads.start(repo, by)
      await process.registry.uploads.append(repo, id, chunkOf('a'))
      world.advance(25 * hour)
    },
    run: ({ sweep }) => allOf(sweep.run('sweep')),
  },
  // Only links lead to its bytes any more: their uploads have ended.
  'sweep what an old image used': {
    async before(world) {
      const process = world.start()
      for (let i = 0; i < 2; i++) {
        world.advance(25 * hour)
        await process.sweep.run('sweep')
      }
      await remove(sha256(first))(process)
      world.advance(25 * hour)
    },
    run: ({ sweep }) => allOf(sweep.run('sweep')),
  },
  // Without referrers: those that a run left behind when it failed count as untagged from then on.
  'apply the retention rules': {
    async before(world) {
      const { registry, sweep } = world.start()
      await pushManifest(registry, repo, 'old', fresh)
      await pushManifest(registry, repo, 'old', first)
      world.advance(hour / 5)
      await sweep.run('sweep')
      world.advance(2 * hour)
    },
    run: ({ retention }) => allOf(retention.run('remove')),
  },
}
