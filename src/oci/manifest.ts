/**
 * Reads a manifest: what it names and what it says of itself. The bytes are kept as pushed; only what the registry acts on is looked at,
 * unknown fields are left alone. Rules: image-spec v1.1 "manifest", "image-index", distribution-spec v1.1.1 "Pushing manifests".
 */
import { type Digest, isDigest } from './digest.ts'
import { OciError } from './errors.ts'
import {
  dockerList,
  dockerManifest,
  isForeignLayer,
  kindOf,
  type ManifestKind,
  manifestMediaTypes,
  ociIndex,
  ociManifest,
} from './media-types.ts'

/** A content descriptor as the referrers list shows it. Rule: image-spec v1.1, "Descriptor". */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** What a manifest names, and what the registry acts on. */
export interface ParsedManifest {
  readonly kind: ManifestKind
  readonly mediaType: string
  /** Blobs that must be in the repository; each once. */
  readonly blobs: readonly Digest[]
  /** Manifests that must be in the repository (the entries of an index); each once. */
  readonly manifests: readonly Digest[]
  readonly subject?: Digest
  /** `artifactType`, or for an image manifest without it the media type of its image config. */
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export interface ManifestLimits {
  /** Nested objects and arrays. */
  readonly maxDepth: number
  /** Descriptors of blobs and manifests in one manifest. */
  readonly maxReferences: number
}

function invalid(message: string): OciError {
  return new OciError('MANIFEST_INVALID', message)
}

type JsonObject = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Throws when brackets nest deeper than `maxDepth`: the parsers of clients recurse, and a bomb must not be handed on to them. */
function checkDepth(bytes: Uint8Array, maxDepth: number): void {
  let depth = 0
  let quoted = false
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i]
    if (quoted) {
      if (c === 0x5c) i++
      else if (c === 0x22) quoted = false
    } else if (c === 0x22) quoted = true
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > maxDepth) throw invalid(`the manifest nests deeper than ${maxDepth} levels`)
    } else if (c === 0x7d || c === 0x5d) depth--
  }
}

function parseJson(bytes: Uint8Array, maxDepth: number): JsonObject {
  if (maxDepth !== Number.POSITIVE_INFINITY) checkDepth(bytes, maxDepth)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (error) {
    throw new OciError('MANIFEST_INVALID', 'the manifest is not JSON in UTF-8', { cause: error })
  }
  if (!isObject(value)) throw invalid('the manifest must be a JSON object')
  return value
}

function optionalText(object: JsonObject, key: string, where: string): string | undefined {
  const value = object[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw invalid(`${where}${key} must be text`)
  return value === '' ? undefined : value
}

interface RawDescriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly foreign: boolean
}

function parseDescriptor(value: unknown, where: string): RawDescriptor {
  if (!isObject(value)) throw invalid(`${where} must be a descriptor: an object with mediaType, digest and size`)
  const { mediaType, digest, size, urls } = value
  if (typeof mediaType !== 'string' || mediaType === '') throw invalid(`${where}.mediaType must be text`)
  if (typeof digest !== 'string' || !isDigest(digest))
    throw invalid(`${where}.digest must be a sha256 or sha512 digest`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${where}.size must be a whole number of bytes`)
  }
  const foreign = isForeignLayer(mediaType) || (Array.isArray(urls) && urls.length > 0)
  return { mediaType, digest, foreign }
}

function parseDescriptors(object: JsonObject, key: string, maxReferences: number): readonly RawDescriptor[] {
  const value = object[key]
  // Docker and some builders write null for a list without elements; an image without layers and an empty index are valid.
  if (value === null) return []
  if (!Array.isArray(value)) throw invalid(`${key} must be a list of descriptors`)
  if (value.length > maxReferences) throw invalid(`${key} has more than ${maxReferences} entries`)
  return value.map((entry: unknown, i) => parseDescriptor(entry, `${key}[${i}]`))
}

function parseAnnotations(object: JsonObject): Readonly<Record<string, string>> | undefined {
  const value = object['annotations']
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw invalid('annotations must be an object of texts')
  // fromEntries, not assignment: a key `__proto__` is a key like any other.
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== 'string') throw invalid('annotations must be an object of texts')
      return [key, text]
    }),
  )
}

/**
 * The media type to keep: what the client said, unless the manifest contradicts it; what the manifest says when the client said nothing;
 * else what its shape tells (image-spec v1.1: mediaType is optional).
 */
function resolveMediaType(
  object: JsonObject,
  announced: string | undefined,
): { mediaType: string; kind: ManifestKind } {
  const stated = optionalText(object, 'mediaType', '')
  if (announced !== undefined && stated !== undefined && announced !== stated) {
    throw invalid(
      `the Content-Type is ${announced.slice(0, 200)}, but the manifest says mediaType ${stated.slice(0, 200)}`,
    )
  }
  const shape = 'manifests' in object ? 'index' : 'manifest'
  const mediaType = announced ?? stated ?? (shape === 'index' ? ociIndex : ociManifest)
  const kind = kindOf(mediaType)
  if (kind === undefined) {
    throw invalid(`a manifest must be one of ${manifestMediaTypes.join(', ')}, not ${mediaType.slice(0, 200)}`)
  }
  const contradicts = kind === 'index' ? 'layers' in object || 'config' in object : 'manifests' in object
  if (contradicts) throw invalid(`the fields of the manifest contradict its media type ${mediaType}`)
  const needsVersion = mediaType === dockerManifest || mediaType === dockerList
  if (object['schemaVersion'] !== 2 && (needsVersion || object['schemaVersion'] !== undefined)) {
    throw invalid('schemaVersion must be 2')
  }
  return { mediaType, kind }
}

function unique(descriptors: readonly RawDescriptor[]): readonly Digest[] {
  return [...new Set(descriptors.map((each) => each.digest))]
}

/**
 * Parses the bytes of a manifest. Throws MANIFEST_INVALID that says what is wrong.
 *
 * An index may list blobs: BuildKit's registry cache does. An entry counts as a manifest when its media type is one of a manifest.
 */
export function parseManifest(
  bytes: Uint8Array,
  announced: string | undefined,
  limits: ManifestLimits,
): ParsedManifest {
  const object = parseJson(bytes, limits.maxDepth)
  const { mediaType, kind } = resolveMediaType(object, announced)
  const subject =
    object['subject'] === undefined || object['subject'] === null
      ? undefined
      : parseDescriptor(object['subject'], 'subject')
  const annotations = parseAnnotations(object)
  const stated = optionalText(object, 'artifactType', '')
  const own = { kind, mediaType, ...(subject && { subject: subject.digest }), ...(annotations && { annotations }) }
  if (kind === 'index') {
    const entries = parseDescriptors(object, 'manifests', limits.maxReferences).filter((each) => !each.foreign)
    const isManifest = (each: RawDescriptor): boolean => kindOf(each.mediaType) !== undefined
    return {
      ...own,
      blobs: unique(entries.filter((each) => !isManifest(each))),
      manifests: unique(entries.filter(isManifest)),
      ...(stated !== undefined && { artifactType: stated }),
    }
  }
  const config = parseDescriptor(object['config'], 'config')
  const layers = parseDescriptors(object, 'layers', limits.maxReferences).filter((each) => !each.foreign)
  return { ...own, blobs: unique([config, ...layers]), manifests: [], artifactType: stated ?? config.mediaType }
}

/** The digests of the manifests that an index lists, without any check but that; nothing when it is not an index. */
export function parseIndexEntries(bytes: Uint8Array): readonly Digest[] {
  const { manifests } = parseJson(bytes, Number.POSITIVE_INFINITY)
  if (!Array.isArray(manifests)) return []
  return manifests.flatMap((entry: unknown) =>
    isObject(entry) && typeof entry['digest'] === 'string' && isDigest(entry['digest']) ? [entry['digest']] : [],
  )
}
