/** Drivers on a bucket of their own, for tests. */
import { randomUUID } from 'node:crypto'
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import type { Driver } from '../../src/storage/driver.ts'
import { createS3Driver } from '../../src/storage/s3/driver.ts'
import type { S3Options, S3StoreOptions } from '../../src/storage/s3/options.ts'
import { testKeySpace } from '../storage/folder.ts'
import { createClient, type S3Server } from './servers.ts'

const mebibyte = 1024 * 1024

/** The defaults of the configuration, but for quick pauses and the smallest parts. */
export function s3StoreOptions(server: S3Server, bucket: string): S3StoreOptions {
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  return {
    endpoint,
    region,
    bucket,
    prefix: '',
    pathStyle: 'auto',
    credentials: { accessKeyId, secretAccessKey },
    encryption: 'default',
    partBytes: 5 * mebibyte,
    uploadConcurrency: 4,
    bufferBytes: 128 * mebibyte,
    readBufferBytes: 32 * mebibyte,
    maxConnections: 256,
    connectTimeoutMs: 3000,
    socketTimeoutMs: 30_000,
    maxAttempts: 4,
    conditionalDelete: 'auto',
    multipartAgeMs: 24 * 3_600_000,
  }
}

export function openS3(server: S3Server, bucket: string, options: Partial<S3Options> = {}): Promise<Driver> {
  return createS3Driver({
    ...s3StoreOptions(server, bucket),
    keySpace: testKeySpace,
    now: Date.now,
    createId: randomUUID,
    // Pauses before another attempt are of no length.
    random: () => 0,
    ...options,
  })
}

/** A bucket of a new name. */
export async function createBucketFor(server: S3Server): Promise<string> {
  const bucket = `berth-${randomUUID()}`
  await server.createBucket(bucket)
  return bucket
}

/** The multipart uploads that were begun and not ended: what no list of keys shows. */
export async function listMultiparts(server: S3Server, bucket: string): Promise<string[]> {
  const client = createClient(server)
  try {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    return Uploads.map(({ Key = '', UploadId = '' }) => `${Key} ${UploadId}`)
  } finally {
    client.destroy()
  }
}
