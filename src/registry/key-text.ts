/** How names, tags, digests and offsets are written in keys, and read back: one path segment each, in an order that is theirs. */
import { type Digest, parseDigest } from '../oci/digest.ts'
import { parseName, parseTag, type RepositoryName, type Tag } from '../oci/name.ts'

/** `/` `.` `-` of a name as they are written in a key, and back: a shift by one that keeps the order. */
const written: Readonly<Record<string, string>> = { '/': '.', '.': '-', '-': '+' }
const read: Readonly<Record<string, string>> = { '.': '/', '-': '.', '+': '-' }

export function writeName(name: RepositoryName): string {
  return `${name.replace(/[/.-]/g, (c) => written[c] ?? c)}!`
}

export function readName(segment: string): RepositoryName {
  return parseName(segment.slice(0, -1).replace(/[.+-]/g, (c) => read[c] ?? c))
}

export function writeTag(tag: Tag): string {
  return tag.replace(/[A-Z]/g, (c) => `^${c.toLowerCase()}`)
}

export function readTag(segment: string): Tag {
  return parseTag(segment.replace(/\^(.)/g, (_, c: string) => c.toUpperCase()))
}

export function writeDigest(digest: Digest): string {
  return digest.replace(':', '-')
}

export function readDigest(text: string): Digest {
  return parseDigest(text.replace('-', ':'))
}

export function writeOffset(offset: number): string {
  return String(offset).padStart(16, '0')
}

/** The segment of a key behind its last `/`. */
export function lastSegment(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}
