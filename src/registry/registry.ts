/**
 * What a registry can do, in the words of the distribution specification. The local registry implements it on a storage driver; a
 * pull-through cache will implement the same type, so that no handler can tell which it has. It must not know HTTP.
 *
 * Every function throws `OciError` for a refusal (the code is named at each), lets `StorageError` through, and is cancelled by the signal.
 */
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { Reference, RepositoryName, Tag } from '../oci/name.ts'
import type { ByteRange, Cancel, OpenBytes } from '../storage/driver.ts'
import { OciError } from '../oci/errors.ts'

export interface Registry {
  readonly blobs: Blobs
  readonly uploads: Uploads
  readonly manifests: Manifests
  readonly tags: Tags
  readonly referrers: Referrers
  readonly catalog: Catalog
}

export interface BlobInfo {
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
}

/** A blob whose chosen ranges are open. Each part is copied once, in order, or `close` is called; `close` is idempotent. */
export interface OpenBlob extends BlobInfo {
  /** All of it, where it is small. Nothing is held open then: parts need not be copied, nor the blob closed. */
  readonly bytes?: Buffer | undefined
  readonly parts: readonly OpenBytes[]
  close(): Promise<void>
}

/** A blob whose bytes are one file of the store. */
export interface BlobFile extends BlobInfo {
  /** Relative to what the store was opened on; made of nothing that a client chose. */
  readonly path: string
}

/** A blob whose bytes the store itself gives to whoever has the URL, for a while: the URL is a secret of the client that asked. */
export interface SignedBlob extends BlobInfo {
  readonly url: string
}

export interface Blobs {
  /** Size of a blob that a GET would serve at this moment; promises it for half a lease. BLOB_UNKNOWN. */
  stat(repository: RepositoryName, digest: Digest, options?: Cancel): Promise<BlobInfo>
  /**
   * The file of a blob that can be relied on at this moment; unlike what is open it may be gone a moment later. `undefined` where `open` is the
   * way: the bytes lie in several segments, are contested or not there, or the store has no files.
   */
  locate(repository: RepositoryName, digest: Digest, options?: Cancel): Promise<BlobFile | undefined>
  /**
   * A URL for the bytes of a blob, which were there at this moment; they may be gone a moment later. `undefined` where `open` is the way: the blob
   * is small or lies in several segments, its bytes are not as the link says, there is no link, or the store signs no URLs.
   */
  sign(repository: RepositoryName, digest: Digest, options?: Cancel): Promise<SignedBlob | undefined>
  /**
   * Opens ranges of a blob. `choose` gets the size and names the ranges (within the size, at least one; an empty blob has the range 0–0); what
   * it throws comes out unchanged. BLOB_UNKNOWN.
   */
  open(
    repository: RepositoryName,
    digest: Digest,
    choose: (size: number) => readonly ByteRange[],
    options?: Cancel,
  ): Promise<OpenBlob>
  /**
   * Makes a blob of another repository available here without moving bytes. `from` undefined: of any repository for which `mayPull` is
   * true. False when that could not be done: the caller starts an upload instead.
   */
  mount(
    repository: RepositoryName,
    digest: Digest,
    source: {
      readonly from?: RepositoryName | undefined
      readonly mayPull: (repository: RepositoryName) => boolean | Promise<boolean>
    },
    options?: Cancel,
  ): Promise<boolean>
  /** Takes the blob out of this repository. BLOB_UNKNOWN. */
  remove(repository: RepositoryName, digest: Digest, options?: Cancel): Promise<void>
}

/** Where an upload session stands: `offset` bytes are in the store. */
export interface UploadStatus {
  readonly id: string
  readonly offset: number
}

/** The body of a request: a stream of chunks. Iterating throws when the client went away or stalled. */
export interface BodySource extends AsyncIterable<Uint8Array> {
  /** Gives back the memory of a chunk that came from it, which has no bytes afterwards. Need not be called. */
  readonly release?: (chunk: Uint8Array) => void
}

export interface Chunk {
  readonly body: BodySource
  /** What `Content-Range` announced; absent: the body goes to the start of an empty session. */
  readonly range?: ByteRange | undefined
  /** What `Content-Length` announced, in bytes; absent when unknown. */
  readonly length?: number | undefined
}

/**
 * The chunk does not go on where the session stands (RANGE_INVALID). The session is as it was; `offset` says where to go on.
 */
export class OutOfOrderError extends OciError {
  readonly offset: number

  constructor(offset: number) {
    super(
      'RANGE_INVALID',
      `the upload stands at byte ${offset}: the next chunk must begin there and say so in Content-Range`,
      {
        detail: { offset },
      },
    )
    this.name = 'OutOfOrderError'
    this.offset = offset
  }
}

export interface Uploads {
  /** Opens a session. `by` is who asks, for the record. */
  start(
    repository: RepositoryName,
    session: { readonly algorithm?: DigestAlgorithm | undefined; readonly by: string },
    options?: Cancel,
  ): Promise<UploadStatus>
  /** BLOB_UPLOAD_UNKNOWN. */
  status(repository: RepositoryName, id: string, options?: Cancel): Promise<UploadStatus>
  /**
   * Appends a chunk (PATCH). When the body breaks off, what came is kept and the error comes out. BLOB_UPLOAD_UNKNOWN, `OutOfOrderError`,
   * SIZE_INVALID (not the announced length; nothing is kept), TOO_LARGE (too many chunks).
   */
  append(repository: RepositoryName, id: string, chunk: Chunk, options?: Cancel): Promise<UploadStatus>
  /**
   * Closes the session (PUT), with a last chunk or without: after this the repository holds the blob. As `append`, and DIGEST_INVALID; a last
   * chunk whose upload fails is not kept.
   */
  close(
    repository: RepositoryName,
    id: string,
    digest: Digest,
    chunk: Chunk | undefined,
    options?: Cancel,
  ): Promise<BlobInfo>
  /** Ends the session and forgets its bytes. BLOB_UPLOAD_UNKNOWN. */
  cancel(repository: RepositoryName, id: string, options?: Cancel): Promise<void>
  /** A whole blob in one request (POST with `digest`). DIGEST_INVALID, SIZE_INVALID. */
  put(
    repository: RepositoryName,
    digest: Digest,
    chunk: Chunk,
    session: { readonly by: string },
    options?: Cancel,
  ): Promise<BlobInfo>
}

export interface Manifest {
  readonly digest: Digest
  /** As pushed, without parameters. */
  readonly mediaType: string
  /** Exactly the bytes that were pushed. */
  readonly bytes: Buffer
}

export interface ManifestPush {
  readonly reference: Reference
  /** Further tags (`?tag=`), in the order asked. */
  readonly tags: readonly Tag[]
  /** The `Content-Type` without parameters; absent when the client sent none. */
  readonly mediaType?: string | undefined
  readonly bytes: Buffer
  /** Who pushes, for the record. */
  readonly by: string
}

export interface PushedManifest {
  readonly digest: Digest
  /** The subject the manifest names, if it names one. */
  readonly subject?: Digest | undefined
}

export interface Manifests {
  /** MANIFEST_UNKNOWN. */
  get(repository: RepositoryName, reference: Reference, options?: Cancel): Promise<Manifest>
  /** MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN (the detail names every one), DIGEST_INVALID; UNAVAILABLE when deletes kept coming between. */
  put(repository: RepositoryName, push: ManifestPush, options?: Cancel): Promise<PushedManifest>
  /** By digest: the manifest and with it all its tags; by tag: that tag. MANIFEST_UNKNOWN; UNSUPPORTED while an index names it. */
  remove(repository: RepositoryName, reference: Reference, options?: Cancel): Promise<void>
}

export interface Page<Item, Position = Item> {
  readonly items: readonly Item[]
  /** Pass as `last` for the next page; absent on the last one. */
  readonly next?: Position | undefined
}

export interface Tags {
  /** Tags in ASCII order behind `last`. NAME_UNKNOWN when the repository holds no manifest. */
  list(
    repository: RepositoryName,
    page: { readonly limit: number; readonly last?: Tag | undefined },
    options?: Cancel,
  ): Promise<Page<Tag>>
}

export interface Referrers {
  /** Descriptors of the manifests whose subject is `subject`, by digest, one each; also those of its fallback tag. */
  list(
    repository: RepositoryName,
    subject: Digest,
    page: { readonly limit: number; readonly artifactType?: string | undefined; readonly last?: Digest | undefined },
    options?: Cancel,
  ): Promise<Page<Descriptor, Digest>>
}

export interface Catalog {
  /** Repositories that hold a manifest, in ASCII order behind `last`. */
  list(
    page: { readonly limit: number; readonly last?: RepositoryName | undefined },
    options?: Cancel,
  ): Promise<Page<RepositoryName>>
}
