/**
 * The keys below `named/` as retention reads them, and the note it keeps there; `layout.ts` draws them. The note counts only as far as it is younger than
 * the hints of tags and indexes beside it.
 */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'
import { readDigest, writeName } from './key-text.ts'
import { namedPrefix } from './layout.ts'

/** All that is beside the manifests of a repository, in the order of their digests. */
export function repositoryNamedPrefix(repository: RepositoryName): string {
  return `named/${writeName(repository)}/`
}

/** Which manifest a key below `repositoryNamedPrefix` is about. */
export function parseNamedKey(key: string): Digest {
  return readDigest(key.split('/')[2] ?? '')
}

/** No tag begins with a dot, so this is no tag's. */
const untaggedName = '~.untagged'

/** Its time is when the manifest was seen to have lost a name, or to have none. */
export function untaggedKey(repository: RepositoryName, digest: Digest): string {
  return `${namedPrefix(repository, digest)}${untaggedName}`
}

export function isUntaggedKey(key: string): boolean {
  return key.endsWith(`/${untaggedName}`)
}
