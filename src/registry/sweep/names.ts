/** Which blobs a repository names: by a push in flight, or by a manifest. Pushes are read first, because one becomes the other. */
import { algorithmOf, computeDigest, type Digest } from '../../oci/digest.ts'
import { parseManifest } from '../../oci/manifest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listPages } from '../../storage/list-all.ts'
import type { Cancel, ListEntry } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { manifestsPrefix, parseManifestKey, parsePushKey, repositoryPushesPrefix } from '../layout.ts'
import { DamagedRecordError, decodeGarbage, decodeManifest } from '../records.ts'
import { type Fingerprint, fingerprintOf } from './contents.ts'
import type { SweepContext } from './context.ts'
import { decodeOrCount } from './unreadable.ts'

/** `push`: a push in flight names it, it will be asked again; `manifest`: a manifest does. */
export type NamedBy = 'push' | 'manifest'

const noLimits = { maxDepth: Number.POSITIVE_INFINITY, maxReferences: Number.POSITIVE_INFINITY }

/** The blobs that the bytes of a manifest name. */
export function blobsOf(bytes: Buffer, mediaType: string): readonly Digest[] {
  return parseManifest(bytes, mediaType, noLimits).blobs
}

async function blobsOfPush(sweep: SweepContext, key: string, cancel: Cancel): Promise<readonly Digest[]> {
  const stored = await sweep.driver.read(key, cancel)
  if (stored === undefined) return []
  // An entry that cannot be read belongs to a process that power loss has ended: nobody will promote it.
  const blobs = decodeOrCount(sweep, () => {
    if (parsePushKey(key)?.entry === 'over') return decodeGarbage(stored.bytes).digests
    const { bytes, mediaType } = decodeManifest(stored.bytes)
    return blobsOf(bytes, mediaType)
  })
  return blobs ?? []
}

/** `unknown` when the manifest cannot be read: it may name anything. */
async function readBlobsOf(
  sweep: SweepContext,
  key: string,
  digest: Digest,
  cancel: Cancel,
): Promise<readonly Fingerprint[] | 'unknown'> {
  const stored = await sweep.driver.read(key, cancel)
  if (stored === undefined) return []
  const blobs = decodeOrCount(sweep, () => {
    const { bytes, mediaType } = decodeManifest(stored.bytes)
    // It is remembered for every repository: what is damaged in one must not say what the others name.
    if (computeDigest(algorithmOf(digest), bytes) !== digest)
      throw new DamagedRecordError(`damaged record: ${key} has other bytes`)
    return blobsOf(bytes, mediaType).map(fingerprintOf)
  })
  if (blobs === undefined) return 'unknown'
  sweep.contents.keep(digest, blobs)
  return blobs
}

/** What the manifests with these keys name. Those that are known are not waited for: there may be a hundred of them for each blob that is collected. */
async function blobsOfManifests(
  sweep: SweepContext,
  entries: readonly ListEntry[],
  cancel: Cancel,
): Promise<readonly (readonly Fingerprint[] | 'unknown')[]> {
  const found: (readonly Fingerprint[] | 'unknown')[] = []
  const unread: { readonly key: string; readonly digest: Digest }[] = []
  for (const { key } of entries) {
    const digest = parseManifestKey(key)
    const known = sweep.contents.find(digest)
    if (known === undefined) unread.push({ key, digest })
    else found.push(known)
  }
  const read = await mapConcurrently(unread, sweep.limits.maxParallelCalls, ({ key, digest }) =>
    readBlobsOf(sweep, key, digest, cancel),
  )
  return [...found, ...read]
}

/** Which of the wanted blobs a repository names, as the store stands now. */
export async function findNamed(
  sweep: SweepContext,
  repository: RepositoryName,
  wanted: ReadonlySet<Digest>,
  cancel: Cancel,
): Promise<ReadonlyMap<Digest, NamedBy>> {
  const { driver, limits } = sweep
  const found = new Map<Digest, NamedBy>()
  const wantedBy = Map.groupBy(wanted, fingerprintOf)
  const note = (blobs: readonly Fingerprint[], by: NamedBy): void => {
    for (const blob of blobs) for (const digest of wantedBy.get(blob) ?? []) found.set(digest, by)
  }
  for await (const page of listPages(driver, repositoryPushesPrefix(repository), cancel)) {
    const keys = page.entries.map(({ key }) => key).filter((key) => parsePushKey(key)?.entry !== 'tag')
    const named = await mapConcurrently(keys, limits.maxParallelCalls, (key) => blobsOfPush(sweep, key, cancel))
    for (const blobs of named) note(blobs.map(fingerprintOf), 'push')
  }
  for await (const page of listPages(driver, manifestsPrefix(repository), cancel)) {
    for (const blobs of await blobsOfManifests(sweep, page.entries, cancel)) {
      if (blobs === 'unknown') for (const digest of wanted) found.set(digest, found.get(digest) ?? 'push')
      else note(blobs, 'manifest')
    }
  }
  return found
}
