/** The settings of a Berth on a bucket of a server under test. */
import type { S3Server } from './servers.ts'

export function s3Environment(server: S3Server, bucket: string): Readonly<Record<string, string>> {
  return {
    BERTH_STORAGE_KIND: 's3',
    BERTH_STORAGE_S3_ENDPOINT: server.endpoint,
    BERTH_STORAGE_S3_REGION: server.region,
    BERTH_STORAGE_S3_BUCKET: bucket,
    BERTH_STORAGE_S3_ACCESS_KEY_ID: server.accessKeyId,
    BERTH_STORAGE_S3_SECRET_ACCESS_KEY: server.secretAccessKey,
  }
}
