/**
 * Referrers of a manifest: those that name it as their subject, from the hints their pushes wrote, and those in the fallback tag that clients kept
 * before registries knew the API (distribution-spec v1.1.1, "Referrers tag schema"). A hint counts if its manifest is there. An answer is kept while the
 * store says that the names it was made of are the same.
 */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import { type Descriptor, parseIndexEntries, parseManifest } from '../oci/manifest.ts'
import { parseTag, type RepositoryName } from '../oci/name.ts'
import { listAll } from '../storage/list-all.ts'
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { hintsAfter, manifestKey, manifestsPrefix, namedPrefix, parseHintKey, tagsPrefix } from './layout.ts'
import { readManifest, readTag } from './lookup.ts'
import type { Page, Referrers } from './registry.ts'

/** By the key of the manifest, with the version it was read from: whether that is still there is looked at in the store each time. */
type DescriptorCache = LRUCache<string, { readonly version: string; readonly descriptor: Descriptor }>

const maxCachedDescriptors = 10_000

/** Of kept answers as JSON: some hundred of a hundred referrers each. */
const maxKeptCharacters = 4 * 1024 * 1024

/** A tag holds 128 characters: of a longer digest there is no fallback tag. */
const maxFallbackTagLength = 128

async function describe(
  context: Context,
  cache: DescriptorCache,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<Descriptor | undefined> {
  const key = manifestKey(repository, digest)
  const cached = cache.get(key)
  if (cached !== undefined) {
    const stat = await context.driver.stat(key, cancel)
    if (stat === undefined) return undefined
    if (stat.version === cached.version) return cached.descriptor
  }
  const manifest = await readManifest(context, repository, digest, cancel)
  if (manifest === undefined) return undefined
  const limits = { maxDepth: Number.POSITIVE_INFINITY, maxReferences: Number.POSITIVE_INFINITY }
  const { mediaType, artifactType, annotations } = parseManifest(manifest.bytes, manifest.mediaType, limits)
  const descriptor = {
    mediaType,
    digest,
    size: manifest.bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  }
  cache.set(key, { version: manifest.version, descriptor })
  return descriptor
}

/** The digests that the hints of a subject name, in order, each once. */
async function* hintedDigests(
  { driver }: Context,
  repository: RepositoryName,
  subject: Digest,
  last: Digest | undefined,
  cancel: Cancel,
): AsyncGenerator<Digest> {
  const after = hintsAfter(repository, subject, 'referrer', last)
  let previous: Digest | undefined
  for await (const { key } of listAll(driver, namedPrefix(repository, subject), { ...cancel, after })) {
    const hint = parseHintKey(key)
    if (hint?.kind !== 'referrer') return
    if (hint.digest !== previous) yield hint.digest
    previous = hint.digest
  }
}

/** The digests in the fallback index of a subject behind `last`, in order; `undefined` without that tag. */
async function fallbackDigests(
  context: Context,
  repository: RepositoryName,
  subject: Digest,
  last: Digest | undefined,
  cancel: Cancel,
): Promise<readonly Digest[] | undefined> {
  const text = subject.replace(':', '-')
  if (text.length > maxFallbackTagLength) return undefined
  const tag = await readTag(context, repository, parseTag(text), cancel)
  if (tag === undefined) return undefined
  const index = await readManifest(context, repository, tag.digest, cancel)
  if (index === undefined) return []
  const digests = parseIndexEntries(index.bytes).filter((digest) => last === undefined || digest > last)
  return [...new Set(digests)].toSorted()
}

/** Two ordered sequences as one, each digest once. */
async function* merge(hinted: AsyncGenerator<Digest>, fallback: readonly Digest[]): AsyncGenerator<Digest> {
  let rest = fallback
  for await (const digest of hinted) {
    const smaller = rest.filter((each) => each < digest)
    yield* smaller
    yield digest
    rest = rest.filter((each) => each > digest)
  }
  yield* rest
}

/** What is asked for. */
type Question = Parameters<Referrers['list']>[2]

interface Answer {
  readonly page: Page<Descriptor, Digest>
  /** Whether nothing but names made it: every hint led to a manifest, and there was no fallback tag. */
  readonly isByNames: boolean
}

async function answer(
  context: Context,
  cache: DescriptorCache,
  repository: RepositoryName,
  subject: Digest,
  { limit, artifactType, last }: Question,
  cancel: Cancel,
): Promise<Answer> {
  const fallback = await fallbackDigests(context, repository, subject, last, cancel)
  let isByNames = fallback === undefined
  const items: Descriptor[] = []
  for await (const digest of merge(hintedDigests(context, repository, subject, last, cancel), fallback ?? [])) {
    const descriptor = await describe(context, cache, repository, digest, cancel)
    if (descriptor === undefined) isByNames = false
    if (descriptor === undefined || (artifactType !== undefined && descriptor.artifactType !== artifactType)) continue
    // One more than fits: there is a next page.
    if (items.length === limit) return { page: { items, next: items.at(-1)?.digest }, isByNames }
    items.push(descriptor)
  }
  return { page: { items }, isByNames }
}

/** Names what an answer that is made of names depends on: the hints, and which manifests and tags there are; `undefined` when it cannot be told. */
async function stampNames(
  { driver }: Context,
  repository: RepositoryName,
  subject: Digest,
  cancel: Cancel,
): Promise<string | undefined> {
  let names = ''
  for (const prefix of [namedPrefix(repository, subject), manifestsPrefix(repository), tagsPrefix(repository)]) {
    const stamp = await driver.stamp?.(prefix, cancel)
    if (stamp === undefined) return undefined
    names += `${stamp} `
  }
  return names
}

/** The referrers of the local registry. */
export function createReferrers(context: Context): Referrers {
  // By size and not by `max`, which would allocate all of it at once: 20 ms.
  const cache: DescriptorCache = new LRUCache({ maxSize: maxCachedDescriptors, sizeCalculation: () => 1 })
  const kept = new LRUCache<string, { readonly stamp: string; readonly page: Page<Descriptor, Digest> }>({
    maxSize: maxKeptCharacters,
    sizeCalculation: ({ page }, question) => question.length + JSON.stringify(page).length,
  })
  return {
    async list(repository, subject, question, cancel = {}) {
      // Before the answer is made: what changes meanwhile shows in the next stamp.
      const stamp = await stampNames(context, repository, subject, cancel)
      const key = JSON.stringify([repository, subject, question.limit, question.last, question.artifactType])
      const known = stamp === undefined ? undefined : kept.get(key)
      if (known !== undefined && known.stamp === stamp) return known.page
      const { page, isByNames } = await answer(context, cache, repository, subject, question, cancel)
      if (stamp !== undefined && isByNames) kept.set(key, { stamp, page })
      return page
    },
  }
}
