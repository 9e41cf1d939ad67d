/** The operations of a client, which record what was answered. */
import { Readable } from 'node:stream'
import { OciError } from '../../src/oci/errors.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { parseReference, parseTag, type RepositoryName } from '../../src/oci/name.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { blobDigestOf, digestOf, type Facts, findTagged, isBlobThere, noLimits, type Read } from './facts.ts'
import { leaseMs, type Process } from './simulation.ts'

/** Refusals are answers; anything else is a defect and ends the schedule. */
async function answer<T>(work: Promise<T>): Promise<T | OciError> {
  try {
    return await work
  } catch (error) {
    if (error instanceof OciError) return error
    throw error
  }
}

/** What a GET answers must have been so at a moment while it was under way. */
async function watchRead(
  { peek }: Process,
  facts: Facts,
  look: Read['look'],
  get: () => Promise<string>,
): Promise<void> {
  const read: Read = { answers: new Set(), look }
  await peek(async (store) => {
    read.answers.add(await look(store))
    facts.reads.add(read)
  })
  const answered = await answer(get())
  facts.reads.delete(read)
  const isUnknown = answered instanceof OciError && answered.code.endsWith('_UNKNOWN')
  const told = isUnknown ? 'gone' : answered instanceof OciError ? answered.code : answered
  if (!read.answers.has(told)) {
    facts.violations.push(`a GET says ${told}, and all the while it was ${[...read.answers].join(' or ')}`)
  }
}

/** The operations of a client: they record what was answered. */
export function createClient(process: Process, facts: Facts) {
  const { registry, now } = process
  const isDeleted = (repository: RepositoryName, what: string): boolean =>
    facts.deleted.some((each) => each.repository === repository && each.what === what)
  const tell = (repository: RepositoryName, digest: Digest, since: number): void =>
    void facts.told.push({ repository, digest, since })
  const by = { by: 'client' }
  return {
    async head(repository: RepositoryName, blob: string) {
      const since = now()
      const told = await answer(registry.blobs.stat(repository, digestOf(blob)))
      if (!(told instanceof OciError)) tell(repository, digestOf(blob), since)
    },
    async get(repository: RepositoryName, blob: string) {
      const digest = digestOf(blob)
      const look: Read['look'] = async (store) => ((await isBlobThere(store, repository, digest)) ? 'there' : 'gone')
      await watchRead(process, facts, look, async () => {
        const opened = await registry.blobs.open(repository, digest, (size) => [{ start: 0, end: size }])
        await opened.close()
        return 'there'
      })
    },
    async getTag(repository: RepositoryName, tag: string) {
      const look: Read['look'] = async (store) => (await findTagged(store, repository, parseTag(tag))) ?? 'gone'
      const get = async (): Promise<string> => (await registry.manifests.get(repository, parseReference(tag))).digest
      await watchRead(process, facts, look, get)
    },
    async upload(repository: RepositoryName, blob: string) {
      const since = now()
      const chunk = { body: Readable.from([Buffer.from(blob)]), length: blob.length }
      const told = await answer(registry.uploads.put(repository, digestOf(blob), chunk, by))
      if (!(told instanceof OciError)) tell(repository, digestOf(blob), since)
    },
    async close(repository: RepositoryName, id: string, blob: string) {
      const since = now()
      const told = await answer(registry.uploads.close(repository, id, digestOf(blob), undefined))
      if (!(told instanceof OciError)) tell(repository, digestOf(blob), since)
    },
    async cancel(repository: RepositoryName, id: string) {
      await answer(registry.uploads.cancel(repository, id))
    },
    /** Without `from`: from any repository. */
    async mount(repository: RepositoryName, blob: string, from?: RepositoryName) {
      const since = now()
      const digest = blobDigestOf(blob)
      const source = { ...(from && { from }), mayPull: () => true }
      const told = await answer(registry.blobs.mount(repository, digest, source))
      if (told === true) tell(repository, digest, since)
    },
    async push(repository: RepositoryName, bytes: Buffer, tag: string) {
      const promised = [...facts.told]
      const digest = digestOf(bytes)
      facts.begun.push({ repository, digest, tag })
      const reference = parseReference(tag)
      const told = await answer(registry.manifests.put(repository, { reference, tags: [], bytes, by: 'client' }))
      if (!(told instanceof OciError)) facts.pushed.push({ repository, digest, tag })
      else if (told.code === 'MANIFEST_BLOB_UNKNOWN') {
        const { blobs } = parseManifest(bytes, undefined, noLimits)
        for (const each of promised) {
          const isHeld = each.repository === repository && blobs.includes(each.digest)
          if (isHeld && now() - each.since < leaseMs / 2 && !isDeleted(repository, each.digest)) {
            facts.violations.push(`P3: a push was refused although ${each.digest.slice(0, 14)} was promised`)
          }
        }
      }
    },
    async remove(repository: RepositoryName, what: Buffer | string) {
      const reference = parseReference(typeof what === 'string' ? what : digestOf(what))
      const name = typeof what === 'string' ? `tag ${what}` : digestOf(what)
      facts.deleted.push({ repository, what: name })
      const told = await answer(registry.manifests.remove(repository, reference))
      // Refused while an index or an immutable tag names it: nothing was deleted.
      if (told instanceof OciError && (told.code === 'UNSUPPORTED' || told.code === 'DENIED')) {
        facts.deleted.splice(
          facts.deleted.findIndex((each) => each.what === name),
          1,
        )
      }
    },
    async removeBlob(repository: RepositoryName, blob: string) {
      facts.deleted.push({ repository, what: blobDigestOf(blob) })
      await answer(registry.blobs.remove(repository, blobDigestOf(blob)))
    },
  }
}
