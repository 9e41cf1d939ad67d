/** The local registry: everything on one storage driver. */
import { createBlobs } from './blobs.ts'
import { createCatalog } from './catalog.ts'
import type { Context } from './context.ts'
import { createKeptRecords } from './kept.ts'
import { createManifests } from './manifests.ts'
import { createReferrers } from './referrers.ts'
import type { Registry } from './registry.ts'
import { createTags } from './tags.ts'
import { createUploads } from './uploads.ts'

/** A registry that keeps every fact in the driver's store; any number of them may work on one store. */
export function createLocalRegistry(given: Context): Registry {
  const context = { ...given, kept: createKeptRecords() }
  return {
    blobs: createBlobs(context),
    uploads: createUploads(context),
    manifests: createManifests(context),
    tags: createTags(context),
    referrers: createReferrers(context),
    catalog: createCatalog(context),
  }
}
