/** Manifests by tag, from one process. */
import { startBerth } from '../../clients/berth.ts'
import { s3Environment } from '../../s3/settings.ts'
import { runWrk } from '../load/client.ts'
import { median } from '../statistics.ts'
import type { Place } from './place.ts'
import { pulledRepository, pushTo } from './transfers.ts'

const wanted = 800
const mediaType = 'application/vnd.oci.image.manifest.v1+json'

export async function measureManifests(place: Place, rounds: number): Promise<void> {
  const env = { ...s3Environment(place.server, place.bucket), BERTH_WORKERS_COUNT: '1', BERTH_LOG_LEVEL: 'warn' }
  await using started = new AsyncDisposableStack()
  const berth = started.adopt(await startBerth({ env }), (one) => one.stop())
  await pushTo(berth, place, pulledRepository)(1)
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: place.digest, size: place.bytes }
  const body = JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [] })
  const url = `${berth.url}/v2/${pulledRepository}/manifests/v1`
  const answer = await fetch(url, { method: 'PUT', body, headers: { 'content-type': mediaType } })
  if (answer.status !== 201) throw new Error(`the manifest was answered ${answer.status}`)
  const speeds: number[] = []
  // The first is a warm-up.
  for (let round = 0; round <= rounds; round++) {
    const { count, seconds } = await runWrk({ url, connections: 16, ms: 3000, headers: {} })
    if (round > 0) speeds.push(count / seconds)
  }
  const speed = median(speeds)
  const verdict = `${wanted} wanted: ${speed >= wanted ? 'holds' : 'DOES NOT HOLD'}`
  console.log(`\nManifest by tag, one process, 16 connections: ${speed.toFixed(0)} a second; ${verdict}`)
}
