/** What a bucket says of itself, by the SDK. Stores that do not know these calls, or refuse them, are common. */
import { GetBucketVersioningCommand, GetObjectLockConfigurationCommand, type S3Client } from '@aws-sdk/client-s3'
import type { BucketCalls } from './bucket.ts'
import { S3Error } from './errors.ts'
import type { S3StoreOptions } from './options.ts'
import { runCall } from './run-call.ts'

export function createBucketCalls({ bucket: Bucket }: S3StoreOptions, client: S3Client): BucketCalls {
  return {
    keepsVersions: (cancel) =>
      runCall(cancel, async (send) => {
        const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket }), send)
        return Status === 'Enabled'
      }),

    locksFor: async (cancel) => {
      try {
        return await runCall(cancel, async (send) => {
          const answer = await client.send(new GetObjectLockConfigurationCommand({ Bucket }), send)
          const { Days, Years } = answer.ObjectLockConfiguration?.Rule?.DefaultRetention ?? {}
          if (Years !== undefined) return `${Years} years`
          return Days === undefined ? undefined : `${Days} days`
        })
      } catch (error) {
        if (error instanceof S3Error && error.code === 'ObjectLockConfigurationNotFoundError') return undefined
        throw error
      }
    },
  }
}
