/** Operations that write: blobs of all sizes, images, mounts. */
import { digestOf } from '../clients/layout.ts'
import { type Content, image } from './content.ts'
import type { Generator } from './load/client.ts'
import type { Flow, Job } from './load/jobs.ts'
import type { Operation, Work } from './operation.ts'
import type { Server, ServerName } from './servers.ts'

const registries: readonly ServerName[] = ['berth', 'docker-registry']
const mebibyte = 1024 * 1024

export interface PushSizes {
  /** How long small pushes are made for each figure. */
  readonly ms: number
  /** In MiB: what is 100 MiB and 1 GiB, where there is time. */
  readonly largeMebibytes: number
  readonly hugeMebibytes: number
  /** How often a connection pushes what is large. */
  readonly largeTimes: number
}

interface Size {
  readonly id: string
  readonly bytes: number
  readonly until: Job['until']
}

export function createPushes(content: Content, generator: Generator, sizes: PushSizes): Operation[] {
  const timed: Job['until'] = { kind: 'ms', ms: sizes.ms }
  const all: readonly Size[] = [
    { id: 'tiny', bytes: 1024, until: timed },
    { id: 'small', bytes: mebibyte, until: timed },
    { id: 'large', bytes: sizes.largeMebibytes * mebibyte, until: { kind: 'times', times: sizes.largeTimes } },
    { id: 'huge', bytes: sizes.hugeMebibytes * mebibyte, until: { kind: 'times', times: 1 } },
  ]
  const blobs = all.flatMap((size) =>
    [1, 8].flatMap((connections) => [
      createPush(size, connections, 'put', generator),
      createPush(size, connections, 'patch', generator),
    ]),
  )
  const measure =
    (flow: Flow, connections: number) =>
    async ({ port }: Server): Promise<Work> => {
      const { count, ...rest } = await generator.run({ port, connections, until: timed, flow })
      return { amount: count, ...rest }
    }
  const group = 'Images and mounts'
  const images = [1, 8].map((connections): Operation => {
    const flow: Flow = { kind: 'image', configBytes: 1024, layerBytes: [4096, 4096] }
    return {
      id: `image@${connections}`,
      group,
      name: `image of 3 small blobs, ${connections} at once`,
      unit: 'pushes/s',
      servers: registries,
      isWarmUp: connections === 8,
      measure: measure(flow, connections),
    }
  })
  const mount: Operation = {
    id: 'mount',
    group,
    name: 'mount into a new repository, 8 at once',
    unit: 'requests/s',
    servers: registries,
    measure: measure({ kind: 'mount', digest: digestOf(content.small), from: image }, 8),
  }
  return [...blobs, ...images, mount]
}

function createPush(size: Size, connections: number, style: 'put' | 'patch', generator: Generator): Operation {
  const isLarge = size.bytes > mebibyte
  // Without a PATCH there is something to be compared with: a file that is put.
  const others: readonly ServerName[] = isLarge
    ? ['writev loop', 'nginx', 'null (Node.js)']
    : ['nginx', 'null (Node.js)']
  return {
    id: `push-${size.id}-${style}@${connections}`,
    group: 'Pushes of blobs',
    name: `push of ${formatSize(size.bytes)}, ${connections} at once, ${style === 'put' ? 'POST PUT' : 'POST PATCH PUT'}`,
    unit: isLarge ? 'MiB/s' : 'pushes/s',
    servers: style === 'put' ? [...registries, ...others] : registries,
    ...(isLarge && { isLarge }),
    measure: async ({ name, port }) => {
      const isFile = name === 'nginx' || name === 'writev loop'
      const flow: Flow = { kind: 'push', style: isFile ? 'file' : style, bytes: size.bytes }
      const { count, seconds, p99Ms } = await generator.run({ port, connections, until: size.until, flow })
      return isLarge ? { amount: (count * size.bytes) / mebibyte, seconds } : { amount: count, seconds, p99Ms }
    },
  }
}

export function formatSize(bytes: number): string {
  if (bytes >= 1024 * mebibyte) return `${bytes / 1024 / mebibyte} GiB`
  return bytes >= mebibyte ? `${bytes / mebibyte} MiB` : `${bytes / 1024} KiB`
}
