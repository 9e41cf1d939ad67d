/**
 * The storage layout: the tree is drawn here, every key is built and parsed here, and nowhere else. It knows names and digests, not what
 * the values under the keys contain.
 *
 *     berth                              format marker
 *     scrub                              how far the scheduled scrub is, and when it ended
 *     data/<id>/<segment>                bytes of one request body, `<offset>-<random>`; written once, never changed
 *     data/<id>/!<attempt>               mark: somebody wants to delete these bytes (`!damaged-…`: a scrub found them damaged)
 *     data/<id>/~<repo>                  renewal: the link of this repository is as young as this key
 *     data/<id>/~as                      the digests these bytes are linked as, once the claims that said so are gone
 *     uploads/<id>/session               upload session
 *     uploads/<id>/<offset>              claim: the request body that starts here (16 digits)
 *     uploads/<id>/as-<alg>-<hex>        a digest these bytes were closed under, where the claim does not say it
 *     uploads/<id>/close-<random>        the link to be of one closing request; promoted
 *     blobs/<alg>/<hh>/<hex>/<repo>      link: this repository may serve this blob
 *     pushes/<repo>/<push>/manifest      manifest push in flight; promoted
 *     pushes/<repo>/<push>/tag-<n>       a tag that the push will write; promoted
 *     manifests/<repo>/<alg>-<hex>       manifest
 *     tags/<repo>/<tag>                  tag
 *     named/<repo>/<alg>-<hex>/…         hints who may name this manifest: `tag.<tag>@<push>`, `index.<alg>-<hex>@<push>`,
 *                                        `referrer.<alg>-<hex>@<push>`; marks `!<push>.<attempt>`; `~.untagged`
 *     garbage/<random>                   for the sweep: what may have lost its last use
 *     scratch/<random>                   start-up check
 *     auth/…                             reserved
 *
 * `<repo>` is the name with `/` `.` `-` written `.` `-` `+`, then `!`: one path segment whose byte order is the order of names, also
 * before the `/` that follows. In tags a capital is written `^` and the small letter, so no two keys differ by case alone.
 */
import { type Digest, hexOf } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { KeySpace } from '../storage/driver.ts'
import {
  lastSegment,
  readDigest,
  readName,
  readTag,
  writeDigest,
  writeName,
  writeOffset,
  writeTag,
} from './key-text.ts'

/** Which keys exist; handed to the driver when it is opened. */
export const keySpace: KeySpace = {
  singles: ['berth', 'scrub'],
  plain: ['auth/', 'data/', 'garbage/', 'named/', 'pushes/', 'scratch/', 'uploads/'],
  records: [
    { prefix: 'blobs/', depth: 5, fixed: 3 },
    { prefix: 'manifests/', depth: 3, fixed: 1 },
    { prefix: 'tags/', depth: 3, fixed: 1 },
  ],
}

export const formatKey = 'berth'
export const scrubKey = 'scrub'

// ---- data

export function dataPrefix(id: string): string {
  return `data/${id}/`
}

export function segmentKey(id: string, offset: number, random: string): string {
  return `data/${id}/${writeOffset(offset)}-${random}`
}

export function dataMarkKey(id: string, attempt: string): string {
  return `data/${id}/!${attempt}`
}

/** The offset in the upload where the bytes of a segment begin. */
export function parseSegmentKey(key: string): number {
  return Number(lastSegment(key).slice(0, 16))
}

/** Marks sort before all other keys of an id. */
export function isDataMark(key: string): boolean {
  return lastSegment(key).startsWith('!')
}

/** Whether a key of an id only says something of the bytes: renewals and digests. They sort behind the bytes and go with them. */
export function isAboutData(key: string): boolean {
  return lastSegment(key).startsWith('~')
}

/** No renewal: a repository ends in `!`. */
export function linkedAsKey(id: string): string {
  return `data/${id}/~as`
}

export function renewalKey(id: string, repository: RepositoryName): string {
  return `data/${id}/~${writeName(repository)}`
}

// ---- uploads

export const uploadsPrefix = 'uploads/'

/** The upload that a key below `uploads/` belongs to. */
export function uploadIdOf(key: string): string {
  return key.split('/')[1] ?? ''
}

export function uploadPrefix(id: string): string {
  return `uploads/${id}/`
}

export function sessionKey(id: string): string {
  return `uploads/${id}/session`
}

export function claimKey(id: string, offset: number): string {
  return `uploads/${id}/${writeOffset(offset)}`
}

/** What a key of an upload is. */
export function kindOfUploadKey(key: string): 'session' | 'claim' | 'closed-as' | 'close' {
  const segment = lastSegment(key)
  if (segment === 'session') return 'session'
  if (segment.startsWith('as-')) return 'closed-as'
  return segment.startsWith('close-') ? 'close' : 'claim'
}

/** The digest in the name of an `as-` key. */
export function parseClosedAsKey(key: string): Digest {
  return readDigest(lastSegment(key).slice('as-'.length))
}

/** The offset where a claim's body starts; undefined for the other keys of an upload. */
export function parseClaimKey(key: string): number | undefined {
  const segment = lastSegment(key)
  return /^[0-9]{16}$/.test(segment) ? Number(segment) : undefined
}

export function closedAsKey(id: string, digest: Digest): string {
  return `uploads/${id}/as-${writeDigest(digest)}`
}

export function closeKey(id: string, random: string): string {
  return `uploads/${id}/close-${random}`
}

// ---- links

export function linksPrefix(digest: Digest): string {
  const hex = hexOf(digest)
  return `blobs/${digest.slice(0, digest.indexOf(':'))}/${hex.slice(0, 2)}/${hex}/`
}

export function linkKey(digest: Digest, repository: RepositoryName): string {
  return linksPrefix(digest) + writeName(repository)
}

/** Whose link a key of `linksPrefix` is. */
export function parseLinkKey(key: string): RepositoryName {
  return readName(lastSegment(key))
}

// ---- pushes

export function pushManifestKey(repository: RepositoryName, push: string): string {
  return `pushes/${writeName(repository)}/${push}/manifest`
}

export function pushTagKey(repository: RepositoryName, push: string, n: number): string {
  return `pushes/${writeName(repository)}/${push}/tag-${n}`
}

export function pushPrefix(repository: RepositoryName, push: string): string {
  return `pushes/${writeName(repository)}/${push}/`
}

export const pushesPrefix = 'pushes/'

export function repositoryPushesPrefix(repository: RepositoryName): string {
  return `${pushesPrefix}${writeName(repository)}/`
}

/** Keeps a push that was taken back in sight while a copy of its entries may still land. */
export function pushOverKey(repository: RepositoryName, push: string): string {
  return `${pushPrefix(repository, push)}over`
}

/** What a key below `pushes/` is. */
export interface PushKey {
  readonly repository: RepositoryName
  readonly push: string
  readonly entry: 'manifest' | 'tag' | 'over'
}

export function parsePushKey(key: string): PushKey | undefined {
  const [, repository, push, name] = key.split('/')
  if (repository === undefined || push === undefined || name === undefined) return undefined
  const entry = name.startsWith('tag-') ? 'tag' : name
  if (entry !== 'manifest' && entry !== 'tag' && entry !== 'over') return undefined
  return { repository: readName(repository), push, entry }
}

// ---- manifests and tags

export function manifestsPrefix(repository: RepositoryName): string {
  return `manifests/${writeName(repository)}/`
}

export function manifestKey(repository: RepositoryName, digest: Digest): string {
  return manifestsPrefix(repository) + writeDigest(digest)
}

export function parseManifestKey(key: string): Digest {
  return readDigest(lastSegment(key))
}

export const catalogPrefix = 'manifests/'

/** A folded entry of the catalog listing: the `manifestsPrefix` of a repository. */
export function parseCatalogEntry(key: string): RepositoryName {
  return readName(key.slice(catalogPrefix.length, -1))
}

export function tagsPrefix(repository: RepositoryName): string {
  return `tags/${writeName(repository)}/`
}

export function tagKey(repository: RepositoryName, tag: Tag): string {
  return tagsPrefix(repository) + writeTag(tag)
}

export function parseTagKey(key: string): Tag {
  return readTag(lastSegment(key))
}

// ---- who may name a manifest

export function namedPrefix(repository: RepositoryName, digest: Digest): string {
  return `named/${writeName(repository)}/${writeDigest(digest)}/`
}

export function tagHintKey(repository: RepositoryName, digest: Digest, tag: Tag, push: string): string {
  return `${namedPrefix(repository, digest)}tag.${writeTag(tag)}@${push}`
}

/** Another manifest that names this one: an index its entry, a referrer its subject. */
export type NamingKind = 'index' | 'referrer'

export function manifestHintKey(
  repository: RepositoryName,
  digest: Digest,
  kind: NamingKind,
  by: Digest,
  push: string,
): string {
  return `${namedPrefix(repository, digest)}${kind}.${writeDigest(by)}@${push}`
}

/** What a hint says: who may name the manifest, and the push that wrote it. */
export type Hint =
  | { readonly kind: 'tag'; readonly tag: Tag; readonly push: string }
  | { readonly kind: NamingKind; readonly digest: Digest; readonly push: string }

/** Parses a key below `namedPrefix`; undefined for a mark. */
export function parseHintKey(key: string): Hint | undefined {
  const match = /^(tag|index|referrer)\.(.+)@([^@]+)$/.exec(lastSegment(key))
  const [, kind, subject, push] = match ?? []
  if (subject === undefined || push === undefined) return undefined
  if (kind === 'tag') return { kind, tag: readTag(subject), push }
  return kind === 'index' || kind === 'referrer' ? { kind, digest: readDigest(subject), push } : undefined
}

/** The incarnation that a mark below `namedPrefix` means; undefined for a hint. */
export function parseManifestMark(key: string): string | undefined {
  return /^!([^.]+)\./.exec(lastSegment(key))?.[1]
}

/** Where the hints of a kind begin in the listing of `namedPrefix`, or go on behind those of one manifest. */
export function hintsAfter(repository: RepositoryName, digest: Digest, kind: Hint['kind'], last?: Digest): string {
  const start = `${namedPrefix(repository, digest)}${kind}.`
  return last === undefined ? start : `${start}${writeDigest(last)}~`
}

/** Marks of one incarnation (push) of a manifest; all marks sort before all hints. */
export function manifestMarkKey(
  repository: RepositoryName,
  digest: Digest,
  incarnation: string,
  attempt: string,
): string {
  return `${manifestMarksStart(repository, digest, incarnation)}${attempt}`
}

export function manifestMarksStart(repository: RepositoryName, digest: Digest, incarnation: string): string {
  return `${namedPrefix(repository, digest)}!${incarnation}.`
}

// ---- the rest
export const garbagePrefix = 'garbage/'
export const scratchPrefix = 'scratch/'

export function garbageKey(random: string): string {
  return `garbage/${random}`
}
