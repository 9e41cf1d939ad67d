/** Pulls at a fixed rate, whatever the answers take (an open loop): what is measured is what a client waits, also for those before it. */
import { createHash, randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { ociManifest } from '../../src/oci/media-types.ts'

export interface Latency {
  /** ms. */
  readonly p50: number
  readonly p99: number
}

/** What is asked for: `paths` one after the other in each of several lines, side by side. */
export interface Pull {
  readonly manifest: string
  readonly blobs: readonly string[]
}

const mebibyte = 1024 * 1024

function fetchWhole(agent: Agent, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const pulled = request(url, { agent }, (response) => {
      response.resume()
      response.once('error', reject)
      response.once('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`${url}: ${response.statusCode}`)),
      )
    })
    pulled.once('error', reject)
    pulled.end()
  })
}

/** Pulls so many times a second, each of `pulls` in turn; a pull is its manifest, and then its blobs at once, as clients do. */
export async function measurePulls(
  base: string,
  pulls: readonly Pull[],
  { seconds, perSecond }: { readonly seconds: number; readonly perSecond: number },
): Promise<readonly number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const latencies: number[] = []
  const running: Promise<void>[] = []
  const start = performance.now()
  for (let i = 0; i < seconds * perSecond; i++) {
    const due = start + (i * 1000) / perSecond
    const waitMs = due - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    const pull = pulls[i % pulls.length]
    if (pull === undefined) break
    // A timer may come a little early.
    const since = Math.min(due, performance.now())
    const run = async (): Promise<void> => {
      await fetchWhole(agent, base + pull.manifest)
      await Promise.all(pull.blobs.map((blob) => fetchWhole(agent, base + blob)))
      latencies.push(performance.now() - since)
    }
    running.push(run())
  }
  await Promise.all(running)
  agent.destroy()
  return latencies
}

export function latencyOf(latencies: readonly number[]): Latency {
  const sorted = [...latencies].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}

async function send(method: string, url: string, body: Uint8Array<ArrayBuffer>, contentType: string): Promise<void> {
  const response = await fetch(url, { method, body, headers: { 'content-type': contentType } })
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${await response.text()}`)
}

/** Pushes images of three layers of 4 MiB, and returns how they are pulled. */
export async function pushImages(base: string, count: number): Promise<readonly Pull[]> {
  const images: Pull[] = []
  for (let i = 0; i < count; i++) {
    const repository = `/v2/bench/image${i}`
    const descriptors = []
    for (const size of [2000, 4 * mebibyte, 4 * mebibyte, 4 * mebibyte]) {
      const bytes = randomBytes(size)
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
      await send('POST', `${base}${repository}/blobs/uploads/?digest=${digest}`, bytes, 'application/octet-stream')
      descriptors.push({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size })
    }
    const [config, ...layers] = descriptors
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers }))
    await send('PUT', `${base}${repository}/manifests/v1`, manifest, ociManifest)
    const blobs = descriptors.map(({ digest }) => `${repository}/blobs/${digest}`)
    images.push({ manifest: `${repository}/manifests/v1`, blobs })
  }
  return images
}
