/** Moves the blob between a client and a server, some at once, and says how fast. What did not go as it should is an error: it would be a wrong figure. */
import { join } from 'node:path'
import type { Registry } from '../../clients/berth.ts'
import { run } from '../../clients/process.ts'
import { mebibyte, type Place } from './place.ts'

const timeoutMs = 600_000

/** One transfer by curl. */
interface Transfer {
  readonly args: readonly string[]
  /** How often it is sent elsewhere. */
  readonly redirects?: number
}

/** Resolves with MiB a second. */
export type Move = (streams: number) => Promise<number>

const octets = ['-H', 'Content-Type: application/octet-stream']
const told = ['-s', '-o', '/dev/null', '-w', '%{http_code} %{num_redirects} %{size_download} %{size_upload}']

/** Also what has to be asked before is asked outside of the time. */
function byCurl({ bytes }: Place, prepare: () => Promise<Transfer>): Move {
  return async (streams) => {
    const all = await Promise.all(Array.from({ length: streams }, prepare))
    const began = performance.now()
    const answers = await Promise.all(all.map(({ args }) => run('curl', [...told, ...args], { timeoutMs })))
    const seconds = (performance.now() - began) / 1000
    for (const [i, answer] of answers.entries()) {
      const [code, redirects, ...sizes] = answer.split(' ').map(Number)
      const isWhole = (code === 200 || code === 201) && Math.max(...sizes) === bytes
      if (!isWhole || redirects !== (all[i]?.redirects ?? 0))
        throw new Error(`a transfer of ${bytes} ended so: ${answer}`)
    }
    return (streams * bytes) / mebibyte / seconds
  }
}

function signed({ server }: Place): readonly string[] {
  const { region, accessKeyId, secretAccessKey } = server
  const hash = ['-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD']
  return ['--aws-sigv4', `aws:amz:${region}:s3`, '--user', `${accessKeyId}:${secretAccessKey}`, ...hash]
}

let count = 0

/** Names of their own: what is written twice may be written otherwise. */
const freshName = (): string => `bench/${++count}`

export const pulledRepository = 'bench/image'

export function pullFrom(berth: Registry, place: Place, redirects: number): Move {
  const url = `${berth.url}/v2/${pulledRepository}/blobs/${place.digest}`
  return byCurl(place, async () => ({ args: ['-L', url], redirects }))
}

/** A GET of an object, from the store or through a proxy. */
export function getObject(place: Place, endpoint: string, key: string): Move {
  return byCurl(place, async () => ({ args: [...signed(place), `${endpoint}/${place.bucket}/${key}`] }))
}

export function putObject(place: Place): Move {
  const url = `${place.server.endpoint}/${place.bucket}`
  return byCurl(place, async () => ({ args: [...signed(place), '-T', place.file, `${url}/${freshName()}`] }))
}

/** Each to a repository of its own, unless one is given: where the blob is already, its bytes come all the same. */
export function pushTo(berth: Registry, place: Place, repository?: string): Move {
  return byCurl(place, async () => {
    const started = await fetch(`${berth.url}/v2/${repository ?? freshName()}/blobs/uploads/`, { method: 'POST' })
    const location = new URL(started.headers.get('location') ?? '', berth.url)
    location.searchParams.set('digest', place.digest)
    return { args: ['-X', 'PUT', ...octets, '-T', place.file, location.href] }
  })
}

/** As clients of S3 send a file: in parts. The slowest counts. */
export function sendParts({ bucket, file, bytes }: Place, endpoint: string): Move {
  const script = join(import.meta.dirname, 'multipart.ts')
  const send = (): Promise<string> =>
    run(process.execPath, [script, endpoint, bucket, freshName(), file], { timeoutMs })
  return async (streams) => {
    const times = await Promise.all(Array.from({ length: streams }, send))
    return (streams * bytes) / mebibyte / (Math.max(...times.map(Number)) / 1000)
  }
}
