/** Pushes beside a client of S3 that sends parts, also over a narrow link, and beside one PUT. */
import { join } from 'node:path'
import { startBerth } from '../../clients/berth.ts'
import { freePort } from '../../clients/port.ts'
import { type Daemon, startDaemon, waitUntilReady } from '../../clients/process.ts'
import { s3Environment } from '../../s3/settings.ts'
import { listObjects, makeRoom, type Place } from './place.ts'
import { putObject, pushTo, sendParts } from './transfers.ts'
import { measure, tableHead } from './turns.ts'

/** What a link of 100 MB/s lets through. */
const linkBytes = 100_000_000

async function startLink(target: string): Promise<{ readonly endpoint: string; readonly daemon: Daemon }> {
  const port = await freePort()
  const args = [join(import.meta.dirname, 'throttle.ts'), port, new URL(target).port, linkBytes].map(String)
  const daemon = startDaemon(process.execPath, args)
  const endpoint = `http://127.0.0.1:${port}`
  await waitUntilReady('the link', daemon, async () => (await fetch(endpoint)).status > 0)
  return { endpoint, daemon }
}

export async function measurePushes(place: Place, rounds: number): Promise<void> {
  const { endpoint } = place.server
  const env = { ...s3Environment(place.server, place.bucket), BERTH_LOG_LEVEL: 'warn' }
  await using started = new AsyncDisposableStack()
  const link = started.adopt(await startLink(endpoint), ({ daemon }) => daemon.stop())
  const narrowEnv = { ...env, BERTH_STORAGE_S3_ENDPOINT: link.endpoint }
  const wide = started.adopt(await startBerth({ env }), (one) => one.stop())
  const narrow = started.adopt(await startBerth({ env: narrowEnv }), (one) => one.stop())

  // What is there now is not of pushes.
  const kept = new Set((await listObjects(place)).map(({ key }) => key))
  const turns = { rounds, tidy: () => makeRoom(place, kept) }
  const ways = [
    { name: 'straight in parts', move: sendParts(place, endpoint) },
    { name: 'push', move: pushTo(wide, place), target: 0.5 },
    { name: 'straight as one PUT', move: putObject(place) },
  ]
  const narrowWays = [
    { name: 'straight in parts by a link of 100 MB/s', move: sendParts(place, link.endpoint) },
    { name: 'push by a link of 100 MB/s', move: pushTo(narrow, place), target: 0.9 },
  ]
  console.log(tableHead)
  for (const streams of [1, 4]) {
    // Twice three ways; the first transfer of all is slower.
    await measure(ways, { ...turns, streams, warmUps: 1, rounds: rounds * 2 })
    await measure(narrowWays, { ...turns, streams })
  }
}
