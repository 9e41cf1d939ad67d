/** Media types that Berth acts on. Sources: image-spec v1.1 "media-types", Docker's image manifest v2 schema 2. */

export const ociIndex = 'application/vnd.oci.image.index.v1+json'
export const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
export const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json'

/** What a repository holds as a manifest: one image or artifact, or an index of manifests. */
export type ManifestKind = 'manifest' | 'index'

const kinds: ReadonlyMap<string, ManifestKind> = new Map([
  [ociManifest, 'manifest'],
  [dockerManifest, 'manifest'],
  [ociIndex, 'index'],
  [dockerList, 'index'],
])

/** The media types a manifest may be pushed as. */
export const manifestMediaTypes: readonly string[] = [...kinds.keys()]

/** The kind of manifest a media type stands for; undefined for everything that is a blob. */
export function kindOf(mediaType: string): ManifestKind | undefined {
  return kinds.get(mediaType)
}

/** Layers that may live elsewhere: a client pushes the manifest without them (image-spec v1.1, "Non-distributable layers"). */
export function isForeignLayer(mediaType: string): boolean {
  return (
    mediaType.startsWith('application/vnd.oci.image.layer.nondistributable.') ||
    mediaType === 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' ||
    mediaType === 'application/vnd.docker.image.rootfs.foreign.diff.tar'
  )
}
