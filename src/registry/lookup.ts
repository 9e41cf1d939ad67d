/** Reads a manifest or a tag as it stands now, with the version that a removal of exactly this one needs. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { Cancel, StoredValue } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { readRecord } from './kept.ts'
import { manifestKey, tagKey } from './layout.ts'
import { decodeManifest, decodeTag, type ManifestRecord, type TagRecord } from './records.ts'

/** A record with what the store says of it. */
interface Stored {
  readonly version: string
  /** The store's time of its last write, in ms. */
  readonly modified: number
}

export type StoredManifest = ManifestRecord & Stored

export type StoredTag = TagRecord & Stored

const toManifest = ({ bytes, version, modified }: StoredValue): StoredManifest => ({
  ...decodeManifest(bytes),
  version,
  modified,
})

const toTag = ({ bytes, version, modified }: StoredValue): StoredTag => ({ ...decodeTag(bytes), version, modified })

export function readManifest(
  { driver, kept }: Context,
  repository: RepositoryName,
  digest: Digest,
  cancel: Cancel,
): Promise<StoredManifest | undefined> {
  return readRecord(driver, kept?.manifests, manifestKey(repository, digest), toManifest, cancel)
}

/** The tag's record, whether or not its manifest is there: a tag counts only once its manifest was read. */
export function readTag(
  { driver, kept }: Context,
  repository: RepositoryName,
  tag: Tag,
  cancel: Cancel,
): Promise<StoredTag | undefined> {
  return readRecord(driver, kept?.tags, tagKey(repository, tag), toTag, cancel)
}
