/**
 * `npm run bench:s3`: Berth on a bucket beside the S3 server alone, in one run, in turns, medians; both on the same cores. A measurement, never a test. It
 * wants `versitygw` (CONTRIBUTING.md says how), `curl`, `nginx` and `wrk`, and room: the crowd's bytes are 32 GiB, and versitygw has them twice for a moment.
 * `--only` is for some of it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createBucketFor } from '../../s3/open.ts'
import { startVersitygw } from '../../s3/servers.ts'
import { measureCrowd } from './crowd.ts'
import { measureManifests } from './manifests.ts'
import { makeRoom, mebibyte, type Place, writeBlob } from './place.ts'
import { measurePulls } from './pulls.ts'
import { measurePushes } from './pushes.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    mebibytes: { type: 'string', default: '1024' },
    crowd: { type: 'string', default: '32' },
    only: { type: 'string', multiple: true, default: ['pulls', 'pushes', 'manifests', 'crowd'] },
  },
})
const rounds = Number(values.rounds)
const bytes = Number(values.mebibytes) * mebibyte

const parts: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  pulls: (place) => measurePulls(place, rounds),
  pushes: (place) => measurePushes(place, rounds),
  manifests: (place) => measureManifests(place, rounds),
  crowd: (place) => measureCrowd(place, Number(values.crowd)),
}
for (const part of values.only) {
  if (parts[part] === undefined) throw new Error(`--only is one of ${Object.keys(parts).join(', ')}, not ${part}`)
}

await using started = new AsyncDisposableStack()
const server = started.adopt(await startVersitygw(), (one) => one.remove())
const folder = started.adopt(await mkdtemp(join(tmpdir(), 'berth-bench-s3-')), (one) =>
  rm(one, { recursive: true, force: true }),
)
const file = join(folder, 'blob')
const digest = await writeBlob(file, bytes)
const place = { server, bucket: await createBucketFor(server), folder, file, digest, bytes }
console.log(`${availableParallelism()} cores, blobs of ${values.mebibytes} MiB, medians`)
for (const part of values.only) {
  await parts[part]?.(place)
  await makeRoom(place)
}
