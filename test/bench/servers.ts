/** The servers of one run: Berth as it starts by default, what it is measured beside, and servers that do nothing. */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Registry, startBerth } from '../clients/berth.ts'
import { createCpuReader, type ReadCpu } from './cpu.ts'
import { startDistribution, startNginx, startNullNginx, startNullServer, startWritevLoop } from './references.ts'

/** Berth is the first of every table. */
export const serverNames = [
  'berth',
  'docker-registry',
  'nginx',
  'writev loop',
  'null (nginx)',
  'null (Node.js)',
] as const
export type ServerName = (typeof serverNames)[number]

export interface Server {
  readonly name: ServerName
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Everything that it keeps. */
  readonly folder: string
  /** Removes blobs that were pushed to it since the last call: a page cache that grows with every push would be measured, too. */
  readonly forget: () => Promise<void>
  readonly readCpu: ReadCpu
  readonly stop: () => Promise<void>
}

/** What a log line costs is not what differs between them: none writes any. */
export const berthSettings = { BERTH_LOG_LEVEL: 'warn' }

/** Where the entries of blobs are: so many folders below a folder. */
interface BlobPlace {
  readonly below: string
  readonly depth: number
}

interface Kind {
  readonly start: (folder: string, blobBytes: number) => Promise<Registry>
  readonly blobs?: BlobPlace
}

const kinds: Readonly<Record<ServerName, Kind>> = {
  berth: {
    start: (folder) => startBerth({ folder, env: berthSettings }),
    blobs: { below: 'data', depth: 1 },
  },
  'docker-registry': {
    start: (folder) => startDistribution(folder),
    blobs: { below: 'data/docker/registry/v2/blobs/sha256', depth: 2 },
  },
  nginx: { start: startNginx, blobs: { below: 'root/v2/bench/pushed/blobs', depth: 1 } },
  'writev loop': { start: startWritevLoop, blobs: { below: '.', depth: 1 } },
  'null (nginx)': { start: startNullNginx },
  'null (Node.js)': { start: (_, blobBytes) => startNullServer(blobBytes) },
}

export function startServers(names: readonly ServerName[], folder: string, blobBytes: number): Promise<Server[]> {
  return Promise.all(names.map((name) => start(name, join(folder, name.replace(/\W+/g, '-')), blobBytes)))
}

async function start(name: ServerName, folder: string, blobBytes: number): Promise<Server> {
  const { start: open, blobs } = kinds[name]
  await mkdir(folder)
  const { url, pid, stop } = await open(folder, blobBytes)
  const forget = blobs === undefined ? async (): Promise<void> => {} : createForget(folder, blobs)
  const readCpu = await createCpuReader(pid)
  return { name, url, port: Number(new URL(url).port), pid, folder, forget, readCpu, stop }
}

/** The first call only remembers what there is. */
function createForget(folder: string, { below, depth }: BlobPlace): () => Promise<void> {
  let known: ReadonlySet<string> | undefined
  return async () => {
    const entries = await listAt(join(folder, below), depth)
    if (known !== undefined) {
      const remembered = known
      const added = entries.filter((entry) => !remembered.has(entry))
      await Promise.all(added.map((entry) => rm(entry, { recursive: true, force: true })))
    }
    known ??= new Set(entries)
  }
}

async function listAt(folder: string, depth: number): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  const paths = names.map((name) => join(folder, name))
  if (depth === 1) return paths
  return (await Promise.all(paths.map((path) => listAt(path, depth - 1)))).flat()
}
