/** Folders and drivers for tests. */
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import type { KeySpace } from '../../src/storage/driver.ts'
import { createFilesystemDriver, type FilesystemOptions } from '../../src/storage/filesystem/driver.ts'

/** One of each sort of key, with the depths that the registry uses. */
export const testKeySpace: KeySpace = {
  singles: ['berth'],
  plain: ['data/', 'garbage/', 'pushes/', 'scratch/'],
  records: [
    { prefix: 'blobs/', depth: 5, fixed: 3 },
    { prefix: 'tags/', depth: 3, fixed: 1 },
  ],
}

export interface Folder {
  readonly root: string
  remove(): Promise<void>
}

export async function createFolder(parent = tmpdir()): Promise<Folder> {
  const root = await mkdtemp(join(parent, 'berth-storage-'))
  return { root, remove: () => rm(root, { recursive: true, force: true }) }
}

/** Opens a folder as a local disk without a ballast that promises nothing of the order of names, unless told otherwise. */
export function openFolder(root: string, options: Partial<FilesystemOptions> = {}) {
  return createFilesystemDriver({
    root,
    keySpace: testKeySpace,
    mount: 'local',
    now: Date.now,
    createId: randomUUID,
    ballastBytes: 0,
    keepsNameOrder: false,
    ...options,
  })
}

/** Everything that is in a folder, relative, directories with a `/`; for comparing before and after. */
export async function rawTree(root: string): Promise<string[]> {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  return entries
    .map((entry) => `${relative(root, join(entry.parentPath, entry.name))}${entry.isDirectory() ? '/' : ''}`)
    .sort()
}

/** Why no disk can be mounted here, or `false`. */
export function reasonToSkipMounts(): string | false {
  if (process.platform !== 'linux') return 'mounting a small disk is tried on Linux only'
  return process.getuid?.() === 0 ? false : 'mounting a small disk needs root'
}
