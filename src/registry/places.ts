/**
 * What a key of the store is: the way back from `layout.ts`, for those who meet keys they did not build. It knows the tree and nothing of the
 * values.
 */
import type { Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import { lastSegment, readDigest, readName } from './key-text.ts'
import {
  kindOfUploadKey,
  linkKey,
  manifestKey,
  parseClaimKey,
  parseClosedAsKey,
  parseHintKey,
  parseLinkKey,
  parseManifestKey,
  parseManifestMark,
  parsePushKey,
  parseTagKey,
  tagKey,
} from './layout.ts'

/** A place in the tree, with what its key says. */
export type Place =
  | { readonly kind: 'single' | 'reserved' | 'garbage' | 'scratch' }
  | { readonly kind: 'segment' | 'mark' | 'damage mark' | 'renewal' | 'linked-as'; readonly id: string }
  | { readonly kind: 'session' | 'claim' | 'closed-as' | 'close'; readonly id: string }
  | { readonly kind: 'link'; readonly digest: Digest; readonly repository: RepositoryName }
  | { readonly kind: 'push entry'; readonly entry: 'manifest' | 'tag' | 'over'; readonly repository: RepositoryName }
  | { readonly kind: 'manifest'; readonly repository: RepositoryName; readonly digest: Digest }
  | { readonly kind: 'tag'; readonly repository: RepositoryName; readonly tag: Tag }
  /** `note`: what housekeeping or a cache remembers of a manifest, beside its hints. */
  | { readonly kind: 'hint' | 'note'; readonly repository: RepositoryName; readonly digest: Digest }
  | {
      readonly kind: 'manifest mark'
      readonly repository: RepositoryName
      readonly digest: Digest
      /** The push whose manifest is meant. */
      readonly incarnation: string
    }

function placeOfData(id: string, name: string): Place | undefined {
  if (name.startsWith('!damaged-')) return { kind: 'damage mark', id }
  if (name.startsWith('!')) return { kind: 'mark', id }
  if (name === '~as') return { kind: 'linked-as', id }
  if (name.startsWith('~')) return { kind: 'renewal', id }
  return /^[0-9]{16}-./.test(name) ? { kind: 'segment', id } : undefined
}

function placeOfUpload(id: string, key: string): Place | undefined {
  const kind = kindOfUploadKey(key)
  if (kind === 'claim' && parseClaimKey(key) === undefined) return undefined
  if (kind === 'closed-as') parseClosedAsKey(key)
  return { kind, id }
}

function placeOfLink(key: string, algorithm: string, hex: string): Place | undefined {
  const place = { kind: 'link', digest: readDigest(`${algorithm}-${hex}`), repository: parseLinkKey(key) } as const
  return linkKey(place.digest, place.repository) === key ? place : undefined
}

function placeOfName(key: string, repository: RepositoryName, digest: Digest): Place | undefined {
  const incarnation = parseManifestMark(key)
  if (incarnation !== undefined) return { kind: 'manifest mark', repository, digest, incarnation }
  if (lastSegment(key).startsWith('~')) return { kind: 'note', repository, digest }
  return parseHintKey(key) === undefined ? undefined : { kind: 'hint', repository, digest }
}

function findPlace(key: string): Place | undefined {
  const [top = '', second = '', third = '', fourth = ''] = key.split('/')
  switch (top) {
    case 'berth':
    case 'scrub':
      return { kind: 'single' }
    case 'auth':
      return { kind: 'reserved' }
    case 'garbage':
    case 'scratch':
      return { kind: top }
    case 'data':
      return placeOfData(second, third)
    case 'uploads':
      return placeOfUpload(second, key)
    case 'blobs':
      return placeOfLink(key, second, fourth)
    case 'pushes': {
      const parsed = parsePushKey(key)
      return parsed && { kind: 'push entry', entry: parsed.entry, repository: parsed.repository }
    }
    case 'manifests': {
      const place = { kind: 'manifest', repository: readName(second), digest: parseManifestKey(key) } as const
      return manifestKey(place.repository, place.digest) === key ? place : undefined
    }
    case 'tags': {
      const place = { kind: 'tag', repository: readName(second), tag: parseTagKey(key) } as const
      return tagKey(place.repository, place.tag) === key ? place : undefined
    }
    case 'named':
      return placeOfName(key, readName(second), readDigest(third))
    default:
      return undefined
  }
}

/** What a key is; `undefined` when no layout knows it. */
export function placeOf(key: string): Place | undefined {
  try {
    return findPlace(key)
  } catch (error) {
    // A name, tag or digest in it is none.
    if (error instanceof OciError) return undefined
    throw error
  }
}
