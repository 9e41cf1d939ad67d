/** Operations that read: manifests, blobs, lists. */
import { dockerManifest } from '../../src/oci/media-types.ts'
import { digestOf } from '../clients/layout.ts'
import { bigMebibytes, type Content, image, smallKibibytes } from './content.ts'
import { listPaths } from './lists.ts'
import { type Generator, runWrk } from './load/client.ts'
import type { Job } from './load/jobs.ts'
import type { Operation } from './operation.ts'
import type { Server, ServerName } from './servers.ts'

const pullers: readonly ServerName[] = ['berth', 'docker-registry', 'nginx']
const connectionCounts = [1, 16, 64]
const listConnections = 16
const mebibyte = 1024 * 1024

export interface Pace {
  /** How long requests are made for each figure. */
  readonly ms: number
}

export function createPulls(content: Content, generator: Generator, { ms }: Pace): Operation[] {
  const blobPath = (bytes: Buffer): string => `/v2/${image}/blobs/${digestOf(bytes)}`
  const manifestPath = (reference: string): string => `/v2/${image}/manifests/${reference}`
  const accept = { Accept: dockerManifest }
  const getBy =
    (path: string, connections: number, headers = {}) =>
    ({ url }: Server) =>
      runWrk({ url: url + path, connections, ms, headers }).then(({ count, ...rest }) => ({ amount: count, ...rest }))
  const manifests = ['tag', 'digest'].flatMap((by) =>
    connectionCounts.map((connections): Operation => {
      const path = manifestPath(by === 'tag' ? 'v1' : digestOf(content.manifest))
      return {
        id: `manifest-${by}@${connections}`,
        group: 'Manifests, and whether a blob is there',
        name: `manifest by ${by}, ${count(connections)}`,
        unit: 'requests/s',
        servers: by === 'tag' ? [...pullers, 'null (nginx)'] : pullers,
        isWarmUp: connections === 16,
        measure: getBy(path, connections, accept),
      }
    }),
  )
  const heads = connectionCounts.map((connections): Operation => ({
    id: `head-blob@${connections}`,
    group: 'Manifests, and whether a blob is there',
    name: `HEAD blob, ${count(connections)}`,
    unit: 'requests/s',
    servers: [...pullers, 'null (nginx)'],
    measure: async ({ port }) => {
      const flow = { kind: 'request', method: 'HEAD', path: blobPath(content.small), headers: {}, status: 200 } as const
      const { count, ...rest } = await generator.run({ port, connections, until: { kind: 'ms', ms }, flow })
      return { amount: count, ...rest }
    },
  }))
  const smallBlob: Operation = {
    id: 'blob-small',
    group: 'Blobs',
    name: `blob of ${smallKibibytes} KiB, ${count(16)}`,
    unit: 'requests/s',
    servers: pullers,
    measure: getBy(blobPath(content.small), 16),
  }
  // Unlike wrk the generator waits for the answers to all it has asked, which counts where one takes a second.
  const getList: GetList =
    (path) =>
    async ({ port }) => {
      const flow = { kind: 'request', method: 'GET', path, headers: {}, status: 200 } as const
      const until: Job['until'] = { kind: 'ms', ms }
      const { count, ...rest } = await generator.run({ port, connections: listConnections, until, flow })
      return { amount: count, ...rest }
    }
  return [
    ...manifests,
    ...heads,
    smallBlob,
    ...createBlobs(blobPath(content.big), generator, ms),
    ...createLists(getList),
  ].concat(createReferrers(`/v2/${image}/referrers/${digestOf(content.manifest)}`, getList))
}

function createBlobs(path: string, generator: Generator, ms: number): Operation[] {
  const servers: readonly ServerName[] = [...pullers, 'null (Node.js)']
  const ask = (status: number, headers: Record<string, string>) =>
    ({ kind: 'request', method: 'GET', path, headers, status }) as const
  const whole = [1, 8].map((streams): Operation => ({
    id: `blob-big@${streams}`,
    group: 'Blobs',
    name: `blob of ${bigMebibytes} MiB, ${streams === 1 ? '1 stream' : `${streams} streams`}`,
    unit: 'MiB/s',
    servers,
    measure: async ({ port }) => {
      const until: Job['until'] = { kind: 'times', times: streams === 1 ? 3 : 1 }
      const done = await generator.run({ port, connections: streams, until, flow: ask(200, {}) })
      return { amount: done.count * bigMebibytes, seconds: done.seconds }
    },
  }))
  const range: Operation = {
    id: 'range',
    group: 'Blobs',
    name: `range of 1 MiB, ${count(8)}`,
    unit: 'requests/s',
    servers,
    measure: async ({ port }) => {
      const first = 100 * mebibyte
      const flow = ask(206, { Range: `bytes=${first}-${first + mebibyte - 1}` })
      const { count, ...rest } = await generator.run({ port, connections: 8, until: { kind: 'ms', ms }, flow })
      return { amount: count, ...rest }
    },
  }
  return [...whole, range]
}

type GetList = (path: string) => Operation['measure']

/** Debian's docker-registry knows no pages of tags: it answers all 10,000. */
function createLists(getList: GetList): Operation[] {
  const names = {
    firstTags: 'first 100 of 10,000 tags',
    deepTags: '100 tags after 9,000',
    firstRepositories: 'first 100 of 2,000 repositories',
    deepRepositories: '100 repositories after 1,800',
  }
  return Object.entries(listPaths).map(([id, path]): Operation => ({
    id,
    group: 'Lists',
    name: `${Object.entries(names).find(([key]) => key === id)?.[1] ?? id}, ${count(listConnections)}`,
    unit: 'requests/s',
    servers: pullers,
    needs: 'lists',
    measure: getList(path),
  }))
}

/** Debian's docker-registry has no referrers. */
function createReferrers(path: string, getList: GetList): Operation {
  return {
    id: 'referrers',
    group: 'Lists',
    name: `100 referrers, ${count(listConnections)}`,
    unit: 'requests/s',
    servers: ['berth', 'nginx'],
    needs: 'referrers',
    measure: getList(path),
  }
}

function count(connections: number): string {
  return connections === 1 ? '1 connection' : `${connections} connections`
}
