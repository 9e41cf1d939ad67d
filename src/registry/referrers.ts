/**
 * Referrers of a manifest: those that name it as their subject, from the hints their pushes wrote, and those in the fallback tag that clients kept
 * before registries knew the API (distribution-spec v1.1.1, "Referrers tag schema"). A hint counts if its manifest is there.
 */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import { type Descriptor, parseIndexEntries, parseManifest } from '../oci/manifest.ts'
import { parseTag, type RepositoryName } from '../oci/name.ts'
import { listAll } from '../storage/list-all.ts'
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { hintsAfter, manifestKey, namedPrefix, parseHintKey } from './layout.ts'
import { readManifest, readTag } from './lookup.ts'
import type { Referrers } from './registry.ts'

/** By the key of the manifest, with the version it was read from: whether that is still there is looked at in the store each time. */
type DescriptorCache = LRUCache<string, { readonly version: string; readonly descriptor: Descriptor }>

const maxCachedDescriptors = 10_000

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

/** The digests in the fallback index of a subject behind `last`, in order. */
async function fallbackDigests(
  context: Context,
  repository: RepositoryName,
  subject: Digest,
  last: Digest | undefined,
  cancel: Cancel,
): Promise<readonly Digest[]> {
  const text = subject.replace(':', '-')
  if (text.length > maxFallbackTagLength) return []
  const tag = await readTag(context, repository, parseTag(text), cancel)
  const index = tag && (await readManifest(context, repository, tag.digest, cancel))
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

/** The referrers of the local registry. */
export function createReferrers(context: Context): Referrers {
  // By size and not by `max`, which would allocate all of it at once: 20 ms.
  const cache: DescriptorCache = new LRUCache({ maxSize: maxCachedDescriptors, sizeCalculation: () => 1 })
  return {
    async list(repository, subject, { limit, artifactType, last }, cancel = {}) {
      const fallback = await fallbackDigests(context, repository, subject, last, cancel)
      const items: Descriptor[] = []
      for await (const digest of merge(hintedDigests(context, repository, subject, last, cancel), fallback)) {
        const descriptor = await describe(context, cache, repository, digest, cancel)
        if (descriptor === undefined) continue
        if (artifactType !== undefined && descriptor.artifactType !== artifactType) continue
        // One more than fits: there is a next page.
        if (items.length === limit) return { items, next: items.at(-1)?.digest }
        items.push(descriptor)
      }
      return { items }
    },
  }
}
