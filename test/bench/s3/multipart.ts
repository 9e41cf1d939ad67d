/** Sends a file to a bucket as a client of S3 does: parts of 8 MiB, four at once. `node multipart.ts ENDPOINT BUCKET KEY FILE`; prints how long it took, in ms. */
import { open } from 'node:fs/promises'
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'

const [endpoint = '', Bucket = '', Key = '', path = ''] = process.argv.slice(2)
const partBytes = 8 * 1024 * 1024
const atOnce = 4

const client = new S3Client({
  endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'testtest' },
  forcePathStyle: true,
  requestChecksumCalculation: 'WHEN_REQUIRED',
  // As Berth: a part does not wait for leave to be sent. One that fails is a wrong figure.
  expectContinueHeader: false,
  maxAttempts: 1,
})
const file = await open(path)
const { size } = await file.stat()
const began = performance.now()
const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))
const Parts: { PartNumber: number; ETag: string | undefined }[] = []
let next = 0

async function work(): Promise<void> {
  for (let part = next++; part * partBytes < size; part = next++) {
    const Body = Buffer.allocUnsafeSlow(Math.min(partBytes, size - part * partBytes))
    const { bytesRead } = await file.read(Body, 0, Body.length, part * partBytes)
    if (bytesRead < Body.length) throw new Error(`${path} has no ${Body.length} bytes at part ${part}`)
    const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: part + 1, Body }))
    Parts.push({ PartNumber: part + 1, ETag })
  }
}

await Promise.all(Array.from({ length: atOnce }, work))
Parts.sort((a, b) => a.PartNumber - b.PartNumber)
await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }))
console.log(Math.round(performance.now() - began))
process.exit(0)
