/**
 * The schedules of the registry once more, on a bucket: few, since each call goes to a server. `SCHEDULES_S3` says how many of each scenario, 0 without it: then one of every
 * fifth.
 */
import { after, before, describe, it } from 'node:test'
import { keySpace } from '../../src/registry/layout.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { putAhead } from '../s3/ahead.ts'
import { createBucketFor, openS3 } from '../s3/open.ts'
import { reasonToSkip, type S3Server, startVersitygw } from '../s3/servers.ts'
import { createRandomChooser } from './choices.ts'
import { runSchedule } from './run-schedule.ts'
import { scenarios } from './scenarios.ts'

const each = Number(process.env['SCHEDULES_S3'] ?? 0)
const chosen = each > 0 ? scenarios : scenarios.filter((_, number) => number % 5 === 0)

describe('schedules on a bucket', { skip: reasonToSkip('versitygw') }, () => {
  let server: S3Server
  let bucket: string
  let count = 0
  before(async () => {
    server = await startVersitygw()
    bucket = await createBucketFor(server)
  })
  after(() => server.remove())

  async function run(scenario: (typeof scenarios)[number], seed: number): Promise<void> {
    // One call at a time: then the server's conditional delete is exact.
    const driver = await openS3(server, bucket, { keySpace, prefix: `${count++}/`, conditionalDelete: 'exact' })
    const openStore = (clock: { readonly now: number }): Driver => {
      const start = clock.now
      return putAhead(driver, () => clock.now - start)
    }
    try {
      await runSchedule(scenario, createRandomChooser(seed), { openStore })
    } finally {
      await driver.close()
    }
  }

  for (const scenario of chosen) {
    it(scenario.name, async () => {
      for (let seed = 0; seed < Math.max(each, 1); seed++) await run(scenario, seed)
    })
  }
})
