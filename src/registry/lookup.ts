/** Reads a manifest or a tag as it stands now, with the version that a removal of exactly this one needs. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { manifestKey, tagKey } from './layout.ts'
import { decodeManifest, decodeTag, type ManifestRecord, type TagRecord } from './records.ts'

export type StoredManifest = ManifestRecord & { readonly version: string }

export type StoredTag = TagRecord & { readonly version: string }

export async function readManifest(
  { driver }: Context,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<StoredManifest | undefined> {
  const stored = await driver.read(manifestKey(repository, digest), cancel)
  return stored && { ...decodeManifest(stored.bytes), version: stored.version }
}

/** The tag's record, whether or not its manifest is there: a tag counts only once its manifest was read. */
export async function readTag(
  { driver }: Context,
  repository: RepositoryName,
  tag: Tag,
  cancel: Cancel,
): Promise<StoredTag | undefined> {
  const stored = await driver.read(tagKey(repository, tag), cancel)
  return stored && { ...decodeTag(stored.bytes), version: stored.version }
}
