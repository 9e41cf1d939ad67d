/** Where processes under test have their data together: a folder, or a bucket of an S3 server of its own. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keySpace } from '../../src/registry/layout.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { createFilesystemDriver } from '../../src/storage/filesystem/driver.ts'
import { openS3 } from '../s3/open.ts'
import { startVersitygw } from '../s3/servers.ts'
import { s3Environment } from '../s3/settings.ts'

export interface SharedStore {
  /** The folder with all of it. */
  readonly folder: string
  /** Settings of each Berth on it. */
  readonly env: Readonly<Record<string, string>>
  /** What two of its times may differ by that were the same, in ms. */
  readonly tickMs: number
  /** How many times as long as on a folder everything takes its processes, about. */
  readonly slowness: number
  /** The largest blob that a test should push, in bytes: on a bucket it has two parts. */
  readonly maxBlobBytes: number
  /** A driver of which `tidy` takes what was begun a moment ago, too. */
  open(): Promise<Driver>
  /** Nothing is asked of it any more; the folder stays. */
  close(): Promise<void>
  remove(): Promise<void>
}

export function createStore(kind: 'filesystem' | 's3'): Promise<SharedStore> {
  return kind === 's3' ? createBucketStore() : createFolderStore()
}

async function createFolderStore(): Promise<SharedStore> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-shared-'))
  return {
    folder,
    env: { BERTH_STORAGE_FILESYSTEM_ROOT: folder },
    tickMs: 0,
    slowness: 1,
    maxBlobBytes: 3_000_000,
    open: () =>
      createFilesystemDriver({
        root: folder,
        keySpace,
        mount: 'local',
        now: Date.now,
        createId: randomUUID,
        temporaryAgeMs: 0,
      }),
    close: async () => {},
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** It tells times in whole seconds. */
async function createBucketStore(): Promise<SharedStore> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-shared-s3-'))
  const server = await startVersitygw({ folder })
  const bucket = 'shared'
  await server.createBucket(bucket)
  return {
    folder,
    env: {
      ...s3Environment(server, bucket),
      BERTH_STORAGE_S3_PART_BYTES: '5MiB',
      BERTH_SWEEP_COPY_WINDOW: '3s',
      // One of a second may be of this moment.
      BERTH_REGISTRY_FRESH_MARK: '2s',
    },
    tickMs: 1000,
    slowness: 2,
    maxBlobBytes: 8_000_000,
    open: () => openS3(server, bucket, { keySpace, multipartAgeMs: 0 }),
    close: () => server.kill(),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
