import { describe } from 'node:test'
import { createBucketFor, listMultiparts, openS3 } from '../s3/open.ts'
import { reasonToSkip, startMoto, startVersitygw } from '../s3/servers.ts'
import { describeDriver } from './driver-contract.ts'

const stores = {
  // Checks signatures, and keeps keys as files and folders; an ETag in a DELETE is not compared in the same step.
  versitygw: { start: startVersitygw, conditionalDelete: 'none', allowsNesting: false, maxConnections: 256 },
  // As AWS has it; but it compares and then writes, without a lock: one call at a time.
  moto: { start: startMoto, conditionalDelete: 'exact', allowsNesting: true, maxConnections: 1 },
} as const

for (const name of ['versitygw', 'moto'] as const) {
  const { start, allowsNesting, ...options } = stores[name]
  describe(`S3 by ${name}`, { skip: reasonToSkip(name) }, () => {
    describeDriver(`S3 by ${name}`, async () => {
      const server = await start()
      const bucket = await createBucketFor(server)
      const driver = await openS3(server, bucket, {
        ...options,
        prefix: 'some/where/',
        maxValueBytes: 4 * 1024 * 1024,
      })
      return {
        driver,
        clockStepMs: 2000,
        allowsNesting,
        rawTree: () => listMultiparts(server, bucket),
        async remove() {
          await driver.close()
          await server.remove()
        },
      }
    })
  })
}
