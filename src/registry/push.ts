/**
 * PUT manifest. A push first writes what it will make (journal entries and hints), then looks whether all it names can be relied on, then lets the
 * store promote its entries: so whoever deletes sees it, or it sees their mark. Protocol: DESIGN section 4, "PUT manifest".
 */
import { algorithmOf, computeDigest, type Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Cancel } from '../storage/driver.ts'
import { mapConcurrently } from './concurrently.ts'
import type { Context } from './context.ts'
import { noteGarbage } from './garbage.ts'
import { refuseMoves } from './immutable.ts'
import { manifestKey, pushManifestKey, pushTagKey } from './layout.ts'
import { findSoundLink } from './links.ts'
import { readManifest, readTag, type StoredManifest } from './lookup.ts'
import { lookPastFreshMarks } from './marks.ts'
import { hintKeys, lookAtManifestMarks } from './named.ts'
import { encodeManifest } from './records.ts'
import type { ManifestPush, PushedManifest } from './registry.ts'
import { type Attempt, enterTag, isFound, makeTag, type Push } from './tag-writes.ts'

/** How often a push starts again because a DELETE or a sweep came between. */
const maxAttempts = 10

/** Whether the incarnation is there and nobody is deleting it. */
async function isHeld(
  context: Context,
  repository: RepositoryName,
  manifest: StoredManifest,
  cancel: Cancel,
): Promise<boolean> {
  const { marks } = await lookAtManifestMarks(context, repository, manifest.digest, manifest.push, cancel)
  return marks === 'none'
}

async function writeHints(
  context: Context,
  attempt: Attempt,
  naming: Parameters<typeof hintKeys>[1],
  cancel: Cancel,
): Promise<void> {
  await mapConcurrently(hintKeys(attempt.repository, naming, attempt.id), context.limits.maxParallelCalls, (key) =>
    context.driver.write(key, Buffer.alloc(0), cancel),
  )
}

/** Removes what is left of an attempt that comes to nothing; its hints are the sweep's, told by a garbage entry. */
async function takeBack(context: Context, attempt: Attempt, cancel: Cancel): Promise<void> {
  const { repository, digest, tags, parsed, id } = attempt
  const manifests = [digest, ...parsed.manifests, ...(parsed.subject === undefined ? [] : [parsed.subject])]
  await noteGarbage(context, { repository, manifests, digests: parsed.blobs }, cancel)
  await context.driver.remove(pushManifestKey(repository, id), cancel)
  for (const n of tags.keys()) await context.driver.remove(pushTagKey(repository, id, n), cancel)
}

/**
 * Makes sure that an entry of an index is there and stays: manifest, its marks, manifest again. One that somebody is deleting is pushed again from
 * its own bytes: a new incarnation, which the mark does not mean. The DELETE may be over by then, so it is looked at again in any case.
 */
async function holdManifest(
  context: Context,
  { repository, by }: Pick<Push, 'repository' | 'by'>,
  digest: Digest,
  cancel: Cancel,
): Promise<boolean> {
  for (let i = 0; i < maxAttempts; i++) {
    const manifest = await readManifest(context, repository, digest, cancel)
    if (manifest === undefined) return false
    const look = (): ReturnType<typeof lookAtManifestMarks> =>
      lookAtManifestMarks(context, repository, digest, manifest.push, cancel)
    const { marks } = await lookPastFreshMarks(context, look, cancel)
    // Another incarnation may be there by now: it came after our hints, so whoever deletes that one sees them.
    if (marks === 'none') return (await readManifest(context, repository, digest, cancel)) !== undefined
    const { mediaType, bytes } = manifest
    const push = readPush(context, repository, {
      reference: { kind: 'digest', digest },
      tags: [],
      mediaType,
      bytes,
      by,
    })
    await noteReplaced(context, repository, manifest, cancel)
    const attempt = { ...push, id: context.createId() }
    if ((await pushNew(context, attempt, cancel)) === 'again') await takeBack(context, attempt, cancel)
  }
  throw busy()
}

/** Looks at every blob and manifest that the push names; returns those that cannot be relied on. */
async function findMissing(context: Context, push: Push, cancel: Cancel): Promise<readonly Digest[]> {
  const { repository, parsed } = push
  const atOnce = context.limits.maxParallelCalls
  const blobs = await mapConcurrently(parsed.blobs, atOnce, async (digest) => {
    const link = await findSoundLink(context, repository, digest, 'as it is', cancel)
    if (link === 'contested') throw busy()
    return link === 'lost' ? [digest] : []
  })
  const manifests = await mapConcurrently(parsed.manifests, atOnce, async (digest) =>
    (await holdManifest(context, push, digest, cancel)) ? [] : [digest],
  )
  return [...blobs, ...manifests].flat()
}

function busy(): OciError {
  return new OciError('UNAVAILABLE', 'others are deleting what this push needs; try again', {
    headers: { 'Retry-After': '1' },
  })
}

function blobUnknown(missing: readonly Digest[]): OciError {
  const named = missing.slice(0, 10).join(', ') + (missing.length > 10 ? ` and ${missing.length - 10} more` : '')
  return new OciError('MANIFEST_BLOB_UNKNOWN', `the repository does not hold what the manifest names: ${named}`, {
    detail: missing.map((digest) => ({ digest })),
  })
}

/** A manifest appears only while its push was holding its blobs. True when it did. */
async function makeManifest(context: Context, attempt: Attempt, cancel: Cancel): Promise<boolean> {
  const { driver, limits, now } = context
  const { repository, digest, tags, parsed, bytes, by, id } = attempt
  const record = encodeManifest({ digest, mediaType: parsed.mediaType, push: id, at: now(), by }, bytes)
  await Promise.all([
    driver.write(pushManifestKey(repository, id), record, { ...cancel, durable: false, toPromote: true }),
    mapConcurrently([...tags.keys()], limits.maxParallelCalls, (n) =>
      enterTag(context, attempt, { n, incarnation: id }, cancel),
    ),
  ])
  const { manifests, subject } = parsed
  await writeHints(context, attempt, { digest, tags, manifests, subject }, cancel)
  try {
    const missing = await findMissing(context, attempt, cancel)
    if (missing.length > 0) throw blobUnknown(missing)
  } catch (error) {
    await takeBack(context, attempt, cancel)
    throw error
  }
  return (await driver.promote(pushManifestKey(repository, id), manifestKey(repository, digest), cancel)) === 'done'
}

async function pushNew(context: Context, attempt: Attempt, cancel: Cancel): Promise<'done' | 'again'> {
  const { repository, digest, tags, id } = attempt
  if (!(await makeManifest(context, attempt, cancel))) return 'again'
  for (const [n, tag] of tags.entries())
    if (!(await makeTag(context, attempt, { tag, n, incarnation: id }, cancel))) return 'again'
  const manifest = await readManifest(context, repository, digest, cancel)
  return manifest?.push === id ? 'done' : 'again'
}

/**
 * The manifest is there: it holds its blobs, only tags are to be written. A tag that was written for this very incarnation needs nothing; one from
 * before a DELETE may be under removal still, and is written anew.
 */
async function retag(
  context: Context,
  attempt: Attempt,
  manifest: StoredManifest,
  cancel: Cancel,
): Promise<'done' | 'again'> {
  const { repository, digest, tags } = attempt
  let isWritten = false
  for (const [n, tag] of tags.entries()) {
    const before = await readTag(context, repository, tag, cancel)
    if (
      before?.digest === digest &&
      before.incarnation === manifest.push &&
      (await isFound(context, attempt, tag, before.push, cancel))
    )
      continue
    isWritten = true
    await enterTag(context, attempt, { n, incarnation: manifest.push }, cancel)
    await writeHints(context, attempt, { digest, tags: [tag], manifests: [] }, cancel)
    if (!(await makeTag(context, attempt, { tag, n, incarnation: manifest.push }, cancel))) return 'again'
  }
  if (!isWritten) return 'done'
  const held = await isHeld(context, repository, manifest, cancel)
  const now = await readManifest(context, repository, digest, cancel)
  return held && now?.push === manifest.push ? 'done' : 'again'
}

function readPush(context: Context, repository: RepositoryName, push: ManifestPush): Push {
  const { reference, bytes, by, mediaType } = push
  const { maxManifestDepth: maxDepth, maxManifestReferences: maxReferences } = context.limits
  const digest = computeDigest(reference.kind === 'digest' ? algorithmOf(reference.digest) : 'sha256', bytes)
  if (reference.kind === 'digest' && reference.digest !== digest) {
    throw new OciError('DIGEST_INVALID', `the manifest has the digest ${digest}, not the one in the URL`, {
      detail: { digest: reference.digest, computed: digest },
    })
  }
  const parsed = parseManifest(bytes, mediaType, { maxDepth, maxReferences })
  const tags = [...new Set([...(reference.kind === 'tag' ? [reference.tag] : []), ...push.tags])]
  return { repository, digest, tags, parsed, bytes, by }
}

/** The marks on an incarnation that this push replaces mean nothing once it is gone; who wrote them may be dead. */
function noteReplaced(
  context: Context,
  repository: RepositoryName,
  { digest, push }: StoredManifest,
  cancel: Cancel,
): Promise<void> {
  return noteGarbage(context, { repository, manifests: [digest], until: { kind: 'manifest', digest, push } }, cancel)
}

/** Pushes a manifest and its tags; what it throws is said at `Manifests.put`. */
export async function putManifest(
  context: Context,
  repository: RepositoryName,
  request: ManifestPush,
  cancel: Cancel,
): Promise<PushedManifest> {
  const push = readPush(context, repository, request)
  const { digest, parsed } = push
  for (let i = 0; i < maxAttempts; i++) {
    await refuseMoves(context, push, cancel)
    const attempt = { ...push, id: context.createId() }
    const manifest = await readManifest(context, repository, digest, cancel)
    // The same bytes under another media type are pushed anew: the type is a part of what a client gets.
    const isSame = manifest?.mediaType === parsed.mediaType
    const isThere = manifest !== undefined && isSame && (await isHeld(context, repository, manifest, cancel))
    if (manifest !== undefined && !isThere) await noteReplaced(context, repository, manifest, cancel)
    const outcome = await (isThere ? retag(context, attempt, manifest, cancel) : pushNew(context, attempt, cancel))
    if (outcome === 'done') return { digest, subject: parsed.subject }
    await takeBack(context, attempt, cancel)
  }
  throw busy()
}
