/** Pulls by redirect and streamed, beside the object itself and nginx as a proxy. */
import { join } from 'node:path'
import { startBerth } from '../../clients/berth.ts'
import { s3Environment } from '../../s3/settings.ts'
import { startNginxProxy } from '../references.ts'
import { listObjects, type Place } from './place.ts'
import { getObject, pulledRepository, pullFrom, pushTo } from './transfers.ts'
import { measure, tableHead } from './turns.ts'

/** Single pulls spread by a sixth: the 95 % interval of the ratio is ± 0.04 to 0.05 with 180 alone, ± 0.02 with four at once; with 30 it is twice that. */
const redirectsPerRound = 60

const streamedPerRound = 10

/** Straight is the very object that Berth has the blob in: how an object was written, and where it lies in memory, make a difference. */
export async function measurePulls(place: Place, rounds: number): Promise<void> {
  const { endpoint } = place.server
  const env = { ...s3Environment(place.server, place.bucket), BERTH_LOG_LEVEL: 'warn' }
  // Another name of the same: it has to be looked up, as any that clients are sent to.
  const elsewhere = endpoint.replace('127.0.0.1', 'localhost')
  const redirect = { BERTH_STORAGE_S3_REDIRECT: 'true', BERTH_STORAGE_S3_REDIRECT_ENDPOINT: elsewhere }
  await using started = new AsyncDisposableStack()
  const streaming = started.adopt(await startBerth({ env }), (one) => one.stop())
  const redirecting = started.adopt(await startBerth({ env: { ...env, ...redirect } }), (one) => one.stop())
  const nginx = started.adopt(await startNginxProxy(join(place.folder, 'nginx'), endpoint), (one) => one.stop())

  await pushTo(streaming, place, pulledRepository)(1)
  const [object, ...others] = (await listObjects(place)).filter(({ size }) => size === place.bytes)
  if (object === undefined || others.length > 0) throw new Error('the blob is not in one object')
  const redirected = [
    { name: 'straight', move: getObject(place, elsewhere, object.key) },
    { name: 'pull by redirect', move: pullFrom(redirecting, place, 1), target: 0.95 },
  ]
  const streamed = [
    { name: 'straight', move: getObject(place, endpoint, object.key) },
    { name: 'streamed pull', move: pullFrom(streaming, place, 0), target: 0.6 },
    { name: 'through nginx as a proxy', move: getObject(place, nginx.url, object.key) },
  ]
  for (const streams of [1, 4]) {
    console.log(tableHead)
    await measure(redirected, { streams, warmUps: 1, rounds: rounds * redirectsPerRound })
    console.log(tableHead)
    await measure(streamed, { streams, warmUps: 1, rounds: rounds * streamedPerRound })
  }
}
