/** What the sweep knows of already: an entry of its own leads to it, so it is nothing to report. */
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/name.ts'
import { listAll } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { garbagePrefix } from '../layout.ts'
import { decodeGarbage, type GarbageRecord } from '../records.ts'
import type { ScrubContext } from './context.ts'
import { readStored } from './stored.ts'

async function* garbageEntries(scrub: ScrubContext, cancel: Cancel): AsyncGenerator<GarbageRecord> {
  for await (const { key } of listAll(scrub.driver, garbagePrefix, cancel)) {
    const stored = await readStored(scrub, key, decodeGarbage, cancel)
    if (stored.state === 'read') yield stored.value
  }
}

/** Which of these blobs an entry leads to. Only called with what looks wrong: it reads every entry there is. */
export async function findPendingBlobs(
  scrub: ScrubContext,
  blobs: ReadonlySet<Digest>,
  cancel: Cancel,
): Promise<ReadonlySet<Digest>> {
  const pending = new Set<Digest>()
  if (blobs.size === 0) return pending
  for await (const { digests = [] } of garbageEntries(scrub, cancel)) {
    for (const digest of digests) if (blobs.has(digest)) pending.add(digest)
  }
  return pending
}

/** A manifest of a repository, there or not. */
export interface NamedManifest {
  readonly repository: RepositoryName
  readonly digest: Digest
}

export function nameOf({ repository, digest }: NamedManifest): string {
  return `${repository}@${digest}`
}

/** Which of these manifests an entry leads to, by `nameOf`. */
export async function findPendingManifests(
  scrub: ScrubContext,
  wanted: ReadonlySet<string>,
  cancel: Cancel,
): Promise<ReadonlySet<string>> {
  const pending = new Set<string>()
  if (wanted.size === 0) return pending
  for await (const { repository, manifests = [] } of garbageEntries(scrub, cancel)) {
    if (repository === undefined) continue
    for (const digest of manifests) {
      const name = nameOf({ repository, digest })
      if (wanted.has(name)) pending.add(name)
    }
  }
  return pending
}
