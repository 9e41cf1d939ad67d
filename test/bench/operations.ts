/** What is measured: each returns how much was done in how many seconds, by a client that costs the server nothing. */
import { dockerManifest } from '../../src/oci/media-types.ts'
import { run } from '../clients/process.ts'
import { blobMebibytes, blobPath, manifestPath, startPush } from './content.ts'
import type { BlobFile, PushedFiles } from './content.ts'
import type { Server } from './servers.ts'

export interface Work {
  /** Requests, or MiB. */
  readonly amount: number
  readonly seconds: number
}

export interface Operation {
  readonly name: string
  readonly speedUnit: string
  /** How the CPU time of one unit of work is shown. */
  readonly cpuUnit: string
  readonly cpuScale: number
  readonly measure: (server: Server) => Promise<Work>
  /** Undone after each measurement, and not measured. */
  readonly cleanUp: (server: Server) => Promise<void>
}

/** `blob` may be renewed; what is pulled was pushed from it before. */
export function createOperations(blob: BlobFile, pulledDigest: string, pushed: PushedFiles): Operation[] {
  const perGibibyte = { speedUnit: 'MiB/s', cpuUnit: 'CPU s/GiB', cpuScale: 1024 }
  const cleanUp = async (): Promise<void> => {}
  return [
    {
      name: 'GET manifest by tag, 16 connections',
      speedUnit: 'requests/s',
      cpuUnit: 'CPU µs/request',
      cpuScale: 1e6,
      measure: getManifests,
      cleanUp,
    },
    { name: `pull of ${blobMebibytes} MiB`, ...perGibibyte, measure: (server) => pull(server, pulledDigest), cleanUp },
    {
      name: `push of ${blobMebibytes} MiB`,
      ...perGibibyte,
      measure: (server) => push(server, blob),
      cleanUp: pushed.remove,
    },
  ]
}

async function getManifests(server: Server): Promise<Work> {
  const accept = ['--header', `Accept: ${dockerManifest}`]
  const output = await run('wrk', [
    '--threads=1',
    '--connections=16',
    '--duration=4s',
    ...accept,
    server.url + manifestPath,
  ])
  const [, requests, seconds] = /(\d+) requests in ([\d.]+)s/.exec(output) ?? []
  if (requests === undefined || /Non-2xx|Socket errors/.test(output)) throw new Error(`${server.name}: ${output}`)
  return { amount: Number(requests), seconds: Number(seconds) }
}

async function pull(server: Server, digest: string): Promise<Work> {
  const times = []
  for (let time = 0; time < 3; time++) times.push(await curl(['--output', '/dev/null', server.url + blobPath(digest)]))
  return { amount: times.length * blobMebibytes, seconds: times.reduce((sum, seconds) => sum + seconds, 0) }
}

/** From the POST to the answer of the PUT. What an earlier push left to write goes to the disk before. */
async function push(server: Server, blob: BlobFile): Promise<Work> {
  const digest = await blob.renew()
  await run('sync', [])
  const startedAt = performance.now()
  const location = await startPush(server, digest)
  const startSeconds = (performance.now() - startedAt) / 1000
  const quiet = ['--output', '/dev/null', '--header', 'Expect:', '--header', 'Content-Type: application/octet-stream']
  return {
    amount: blobMebibytes,
    seconds: startSeconds + (await curl([...quiet, '--upload-file', blob.path, location])),
  }
}

/** Seconds of one transfer, as curl counts them. */
async function curl(args: readonly string[]): Promise<number> {
  return Number(await run('curl', ['--silent', '--show-error', '--fail', '--write-out', '%{time_total}', ...args]))
}
