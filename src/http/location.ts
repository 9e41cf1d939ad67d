/**
 * The URLs that answers name. All relative: containerd drops credentials when host or scheme change, and an absolute one is wrong behind
 * half of all proxies. The parts are parsed values, which need no escaping.
 */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/name.ts'

export function blobLocation(name: RepositoryName, digest: Digest): string {
  return `/v2/${name}/blobs/${digest}`
}

export function manifestLocation(name: RepositoryName, digest: Digest): string {
  return `/v2/${name}/manifests/${digest}`
}

export function uploadLocation(name: RepositoryName, id: string): string {
  return `/v2/${name}/blobs/uploads/${id}`
}
