/**
 * 10,000 tags of one repository and 2,000 repositories, written straight into the folder of Berth and of docker-registry: pushing them would take
 * longer than all that is measured. No more than their lists look at.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseName, parseTag } from '../../src/oci/name.ts'
import { writeManifest, writeTag } from './full-store.ts'

const tags = 10_000
const repositories = 2_000
const pageSize = 100

const tagged = 'lists/tagged'
const tagAt = (n: number): string => `t${String(n).padStart(5, '0')}`
const repositoryAt = (n: number): string => `lists/r${String(n).padStart(4, '0')}`

/** The first page, and the one after nine tenths of the list. */
export const listPaths = {
  firstTags: `/v2/${tagged}/tags/list?n=${pageSize}`,
  deepTags: `/v2/${tagged}/tags/list?n=${pageSize}&last=${tagAt(tags * 0.9)}`,
  firstRepositories: `/v2/_catalog?n=${pageSize}`,
  deepRepositories: `/v2/_catalog?n=${pageSize}&last=${repositoryAt(repositories * 0.9)}`,
}

export function writeListsOfBerth(folder: string): void {
  const manifest = Buffer.from('{"schemaVersion":2}')
  const name = parseName(tagged)
  const image = writeManifest(folder, name, manifest)
  for (let n = 0; n < tags; n++) writeTag(folder, name, parseTag(tagAt(n)), image)
  for (let n = 0; n < repositories; n++) writeManifest(folder, parseName(repositoryAt(n)), manifest)
}

export function writeListsOfDistribution(folder: string): void {
  const root = join(folder, 'data/docker/registry/v2/repositories')
  const make = (...path: readonly string[]): void => void mkdirSync(join(root, ...path), { recursive: true })
  for (let n = 0; n < tags; n++) make(tagged, '_manifests/tags', tagAt(n))
  for (const repository of [tagged, ...Array.from({ length: repositories }, (_, n) => repositoryAt(n))]) {
    make(repository, '_layers')
    make(repository, '_manifests')
  }
}
