/** Repository names, tags and references, parsed once into branded strings. Rules: distribution-spec v1.1.1, "Pulling manifests". */
import { type Digest, parseDigest } from './digest.ts'
import { OciError } from './errors.ts'

/** A valid repository name of at most `maxNameLength` characters. */
export type RepositoryName = string & { readonly __brand: 'RepositoryName' }

/** A valid tag. */
export type Tag = string & { readonly __brand: 'Tag' }

/** What a manifest is asked by. */
export type Reference =
  | { readonly kind: 'digest'; readonly digest: Digest }
  | { readonly kind: 'tag'; readonly tag: Tag }

/** A name is one segment of a storage key, beside a `~` and a `!`: 255 bytes, the limit of file systems, less two. */
export const maxNameLength = 253

/** A tag in a key writes a capital with two characters and stands behind `tag.` and before `@<push>`: 255 bytes hold 200 of it. */
export const maxWrittenTagLength = 200

const namePattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

function isRepositoryName(text: string): text is RepositoryName {
  return text.length <= maxNameLength && namePattern.test(text)
}

function isTag(text: string): text is Tag {
  return tagPattern.test(text) && text.length + (text.match(/[A-Z]/g)?.length ?? 0) <= maxWrittenTagLength
}

/** Parses a repository name or throws NAME_INVALID. */
export function parseName(text: string): RepositoryName {
  if (isRepositoryName(text)) return text
  throw new OciError(
    'NAME_INVALID',
    `a repository name is at most ${maxNameLength} characters: lower-case letters and digits, joined by ".", "_", "__" or dashes, in parts separated by "/"`,
    { detail: { name: text.slice(0, 300) } },
  )
}

/** Parses a tag or throws TAG_INVALID. */
export function parseTag(text: string): Tag {
  if (isTag(text)) return text
  throw new OciError(
    'TAG_INVALID',
    `a tag is 1 to 128 letters, digits, "_", "." or "-", begins with none of the last two, and counts at most ${maxWrittenTagLength} where a capital counts 2`,
    { detail: { tag: text.slice(0, 300) } },
  )
}

/** Parses a reference: with a colon it is meant as a digest (DIGEST_INVALID), else as a tag (TAG_INVALID). */
export function parseReference(text: string): Reference {
  return text.includes(':') ? { kind: 'digest', digest: parseDigest(text) } : { kind: 'tag', tag: parseTag(text) }
}
