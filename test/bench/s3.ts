/**
 * `npm run bench:s3`: Berth on a bucket beside the S3 server alone, in one run, in turns, medians; both on the same cores. A measurement, never a test. It
 * wants `versitygw` (CONTRIBUTING.md says how), `curl`, `nginx` and `wrk`, and room: the crowd's bytes are 32 GiB, and versitygw has them twice for a moment.
 * `--only` is for some of it.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { DeleteObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3'
import { type Registry, startBerth } from '../clients/berth.ts'
import { freePort } from '../clients/port.ts'
import { type Daemon, run, startDaemon } from '../clients/process.ts'
import { createBucketFor } from '../s3/open.ts'
import { createClient, type S3Server, startVersitygw } from '../s3/servers.ts'
import { s3Environment } from '../s3/settings.ts'
import { runWrk } from './load/client.ts'
import { readMemory, watchMemory } from './memory.ts'
import { startNginxProxy } from './references.ts'
import { median } from './statistics.ts'

const mebibyte = 1024 * 1024
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    mebibytes: { type: 'string', default: '1024' },
    crowd: { type: 'string', default: '32' },
    only: { type: 'string', multiple: true, default: ['pulls', 'pushes', 'manifests', 'crowd'] },
  },
})
const rounds = Number(values.rounds)
const mebibytes = Number(values.mebibytes)
const crowd = Number(values.crowd)

const parts: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  pulls: measurePulls,
  pushes: measurePushes,
  manifests: measureManifests,
  crowd: measureCrowd,
}
for (const part of values.only) {
  if (parts[part] === undefined) throw new Error(`--only is one of ${Object.keys(parts).join(', ')}, not ${part}`)
}

/** What a link of 100 MB/s lets through. */
const linkBytes = 100_000_000
const repository = 'bench/image'

interface Place {
  readonly server: S3Server
  readonly bucket: string
  readonly folder: string
  readonly file: string
  readonly digest: string
}

/** MiB a second of some curls at once. */
async function transfer(streams: number, args: (stream: number) => Promise<readonly string[]>): Promise<number> {
  const all = await Promise.all(Array.from({ length: streams }, (_, stream) => args(stream)))
  const began = performance.now()
  const codes = await Promise.all(
    all.map((each) => run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', ...each], { timeoutMs: 600_000 })),
  )
  const seconds = (performance.now() - began) / 1000
  if (codes.some((code) => !/^20[01]$/.test(code))) throw new Error(`a transfer was answered ${codes.join(' ')}`)
  return (streams * mebibytes) / seconds
}

/** The same of some clients of S3, which send parts; the slowest counts. */
async function sendParts(streams: number, place: Place, endpoint: string): Promise<number> {
  const script = join(import.meta.dirname, 'multipart.ts')
  const times = await Promise.all(
    Array.from({ length: streams }, () =>
      run(process.execPath, [script, endpoint, place.bucket, `parts-${++count}`, place.file], { timeoutMs: 600_000 }),
    ),
  )
  return (streams * mebibytes) / (Math.max(...times.map(Number)) / 1000)
}

function signed({ server }: Place): readonly string[] {
  const { region, accessKeyId, secretAccessKey } = server
  const hash = ['-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD']
  return ['--aws-sigv4', `aws:amz:${region}:s3`, '--user', `${accessKeyId}:${secretAccessKey}`, ...hash]
}

const pull =
  (berth: Registry, { digest }: Place) =>
  async (): Promise<readonly string[]> => ['-L', `${berth.url}/v2/${repository}/blobs/${digest}`]

let count = 0

/** Another name of the same: redirects go there, and a name has to be looked up. */
const elsewhereOf = (endpoint: string): string => endpoint.replace('127.0.0.1', 'localhost')

const fetchObject = (place: Place, endpoint: string, key: string) => async (): Promise<readonly string[]> => [
  ...signed(place),
  `${endpoint}/${place.bucket}/${key}`,
]
const putObject = (place: Place) => async (): Promise<readonly string[]> => [
  ...signed(place),
  '-T',
  place.file,
  `${place.server.endpoint}/${place.bucket}/put-${++count}`,
]

/** Each to a repository of its own, where the blob is not yet; the store then has the bytes, but a push brings them all the same. */
const push = (berth: Registry, place: Place) => async (): Promise<readonly string[]> => {
  const started = await fetch(`${berth.url}/v2/${repository}-${++count}/blobs/uploads/`, { method: 'POST' })
  const location = new URL(started.headers.get('location') ?? '', berth.url)
  location.searchParams.set('digest', place.digest)
  return ['-X', 'PUT', '-H', 'Content-Type: application/octet-stream', '-T', place.file, location.href]
}

async function listObjects({ server, bucket }: Place): Promise<string[]> {
  const client = createClient(server)
  const found: string[] = []
  try {
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: bucket })) {
      found.push(...Contents.flatMap(({ Key }) => Key ?? []))
    }
  } finally {
    client.destroy()
  }
  return found
}

/** Removes what was written since, or all of it: disks are small. */
async function makeRoom(place: Place, kept: ReadonlySet<string> = new Set()): Promise<void> {
  const client = createClient(place.server)
  try {
    for (const Key of await listObjects(place)) {
      if (!kept.has(Key)) await client.send(new DeleteObjectCommand({ Bucket: place.bucket, Key }))
    }
  } finally {
    client.destroy()
  }
}

interface Row {
  readonly name: string
  readonly straight: () => Promise<number>
  readonly ours: () => Promise<number>
  /** The ratio that is wanted, if one is. */
  readonly target?: number
}

/**
 * A pull is over in a second, of which the processor's caches and other guests of the machine may take a tenth: single ones spread by a quarter, and a median
 * of nine tells nothing about a twentieth.
 */
const pullsEach = 10

interface Turns {
  readonly warmUps: number
  readonly measured: number
  /** After each. */
  readonly tidy: () => Promise<void>
}

/** In turns, and each goes first every other time. */
async function measure({ name, straight, ours, target }: Row, { warmUps, measured, tidy }: Turns): Promise<void> {
  const speeds: { straight: number[]; ours: number[] } = { straight: [], ours: [] }
  const turns = [async () => speeds.straight.push(await straight()), async () => speeds.ours.push(await ours())]
  for (let round = -warmUps; round < measured; round++) {
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
      await turn()
      await tidy()
    }
    if (round < 0) speeds.straight.length = speeds.ours.length = 0
  }
  const [theirs, mine] = [median(speeds.straight), median(speeds.ours)]
  const verdict = target === undefined ? '-' : `${target}: ${mine / theirs >= target ? 'holds' : 'DOES NOT HOLD'}`
  console.log(`| ${name} | ${mine.toFixed(0)} | ${theirs.toFixed(0)} | ${(mine / theirs).toFixed(3)} | ${verdict} |`)
}

async function measureManifests(place: Place): Promise<void> {
  const env = { ...s3Environment(place.server, place.bucket), BERTH_WORKERS_COUNT: '1', BERTH_LOG_LEVEL: 'warn' }
  const berth = await startBerth({ env })
  try {
    await run('curl', ['-s', '-o', '/dev/null', ...(await pushTo(berth, place))])
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: place.digest, size: 1 }
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const body = JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [] })
    const url = `${berth.url}/v2/${repository}/manifests/v1`
    const answer = await fetch(url, { method: 'PUT', body, headers: { 'content-type': mediaType } })
    if (answer.status !== 201) throw new Error(`the manifest was answered ${answer.status}`)
    const speeds: number[] = []
    for (let round = 0; round <= rounds; round++) {
      const { count: requests, seconds } = await runWrk({ url, connections: 16, ms: 3000, headers: {} })
      // The first is a warm-up.
      if (round > 0) speeds.push(requests / seconds)
    }
    const speed = median(speeds)
    console.log(
      `\nManifest by tag, one process, 16 connections: ${speed.toFixed(0)} a second; 800 wanted: ${speed >= 800 ? 'holds' : 'DOES NOT HOLD'}`,
    )
  } finally {
    await berth.stop()
  }
}

/** All at once; the most that all processes of Berth had in memory meanwhile. */
async function measureCrowd(place: Place): Promise<void> {
  const berth = await startBerth({ env: { ...s3Environment(place.server, place.bucket), BERTH_LOG_LEVEL: 'warn' } })
  try {
    const idle = (await readMemory(berth.pid)).map((one) => Math.round(one / mebibyte))
    const stop = watchMemory(berth.pid, 50)
    const speed = await transfer(crowd, push(berth, place))
    const { bytes, each } = await stop()
    const [total = 0, ...parts] = [bytes, ...each].map((one) => Math.round(one / mebibyte))
    console.log(
      `\n${crowd} uploads of ${mebibytes} MiB at once: ${speed.toFixed(0)} MiB/s, at most ${total} MiB in memory (${parts.join(' + ')}; idle ${idle.join(' + ')}); 900 allowed: ${total < 900 ? 'holds' : 'DOES NOT HOLD'}`,
    )
  } finally {
    await berth.stop()
  }
}

async function startLink(target: string): Promise<{ readonly endpoint: string; readonly daemon: Daemon }> {
  const port = await freePort()
  const args = [join(import.meta.dirname, 'throttle.ts'), port, new URL(target).port, linkBytes].map(String)
  return { endpoint: `http://127.0.0.1:${port}`, daemon: startDaemon(process.execPath, args) }
}

const tableHead = '| operation | Berth MiB/s | straight MiB/s | ratio | target |\n|---|---|---|---|---|'

const ofStreams = (streams: number): string => `${mebibytes} MiB, ${streams === 1 ? '1 stream' : `${streams} streams`}`

/** Straight is the very object that Berth has the blob in: how an object was written, and where it lies in memory, make a difference. */
async function measurePulls(place: Place): Promise<void> {
  const env = { ...s3Environment(place.server, place.bucket), BERTH_LOG_LEVEL: 'warn' }
  const elsewhere = elsewhereOf(place.server.endpoint)
  const redirect = { BERTH_STORAGE_S3_REDIRECT: 'true', BERTH_STORAGE_S3_REDIRECT_ENDPOINT: elsewhere }
  const [streaming, redirecting, nginx] = await Promise.all([
    startBerth({ env }),
    startBerth({ env: { ...env, ...redirect } }),
    startNginxProxy(join(place.folder, 'nginx'), place.server.endpoint),
  ])
  try {
    await run('curl', ['-s', '-o', '/dev/null', ...(await pushTo(streaming, place))])
    const [object, ...others] = (await listObjects(place)).filter((key) => key.startsWith('data/'))
    if (object === undefined || others.length > 0) throw new Error('the blob is not one object')
    console.log(tableHead)
    const turns = { warmUps: 1, measured: rounds * pullsEach, tidy: async () => undefined }
    for (const streams of [1, 4]) {
      const of = ofStreams(streams)
      const straight = () => transfer(streams, fetchObject(place, elsewhere, object))
      const rows: Row[] = [
        {
          name: `pull by redirect of ${of}`,
          straight,
          ours: () => transfer(streams, pull(redirecting, place)),
          target: 0.95,
        },
        {
          name: `streamed pull of ${of}`,
          straight,
          ours: () => transfer(streams, pull(streaming, place)),
          target: 0.6,
        },
        {
          name: 'the same by nginx as a proxy',
          straight,
          ours: () => transfer(streams, fetchObject(place, nginx.url, object)),
        },
      ]
      for (const row of rows) await measure(row, turns)
    }
  } finally {
    await Promise.all([streaming, redirecting, nginx].map((each) => each.stop()))
  }
}

async function measurePushes(place: Place): Promise<void> {
  const env = { ...s3Environment(place.server, place.bucket), BERTH_LOG_LEVEL: 'warn' }
  const link = await startLink(place.server.endpoint)
  const [wide, narrow] = await Promise.all([
    startBerth({ env }),
    startBerth({ env: { ...env, BERTH_STORAGE_S3_ENDPOINT: link.endpoint } }),
  ])
  try {
    await run('curl', ['-s', '-o', '/dev/null', ...(await pushTo(wide, place))])
    const kept = new Set(await listObjects(place))
    const turns = { warmUps: 0, measured: rounds, tidy: () => makeRoom(place, kept) }
    console.log(tableHead)
    for (const streams of [1, 4]) {
      const of = ofStreams(streams)
      const wideRow: Row = {
        name: `push of ${of} (straight: parts)`,
        straight: () => sendParts(streams, place, place.server.endpoint),
        ours: () => transfer(streams, push(wide, place)),
        target: 0.5,
      }
      const narrowRow: Row = {
        name: `push of ${of}, link of 100 MB/s (straight: parts)`,
        straight: () => sendParts(streams, place, link.endpoint),
        ours: () => transfer(streams, push(narrow, place)),
        target: 0.9,
      }
      for (const row of [wideRow, narrowRow]) await measure(row, turns)
    }
    const straight = () => transfer(1, putObject(place))
    const ours = () => transfer(1, push(wide, place))
    await measure({ name: `push of ${ofStreams(1)} (straight: one PUT)`, straight, ours }, turns)
  } finally {
    await Promise.all([wide, narrow].map((berth) => berth.stop()))
    await link.daemon.stop()
  }
}

/** Random bytes in a file, and their digest. They are never here at once: a process that holds a GiB takes 15 ms for each curl that it starts. */
async function writeBlob(path: string): Promise<string> {
  const hash = createHash('sha256')
  await using file = await open(path, 'w')
  for (let i = 0; i < mebibytes; i++) {
    const bytes = randomBytes(mebibyte)
    hash.update(bytes)
    await file.write(bytes)
  }
  return `sha256:${hash.digest('hex')}`
}

/** The blob that is pulled. */
async function pushTo(berth: Registry, place: Place): Promise<readonly string[]> {
  const started = await fetch(`${berth.url}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
  const location = new URL(started.headers.get('location') ?? '', berth.url)
  location.searchParams.set('digest', place.digest)
  return ['-X', 'PUT', '-H', 'Content-Type: application/octet-stream', '-T', place.file, location.href]
}

const folder = await mkdtemp(join(tmpdir(), 'berth-bench-s3-'))
const server = await startVersitygw()
try {
  const file = join(folder, 'blob')
  const digest = await writeBlob(file)
  const place = { server, bucket: await createBucketFor(server), folder, file, digest }
  for (const part of values.only) {
    await parts[part]?.(place)
    await makeRoom(place)
  }
} finally {
  await server.remove()
  await rm(folder, { recursive: true, force: true })
}
