/** Multipart uploads, by the SDK. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { MultipartCalls } from './bucket.ts'
import { sayHash } from './client.ts'
import type { S3StoreOptions } from './options.ts'
import { bodyOf, encryptionOf, required, runCall, storageClassOf, toSeconds, unsigned } from './run-call.ts'

interface Clients {
  readonly small: S3Client
  readonly bulk: S3Client
  readonly slow: S3Client
}

export function createMultipartCalls(options: S3StoreOptions, { small, bulk, slow }: Clients): MultipartCalls {
  const { bucket: Bucket } = options
  return {
    startMultipart: (key, { writer, ...cancel }) =>
      runCall(cancel, async (send) => {
        const how = { Metadata: { writer }, ...encryptionOf(options), ...storageClassOf(options) }
        const { UploadId } = await small.send(new CreateMultipartUploadCommand({ Bucket, Key: key, ...how }), send)
        return { key, id: required(UploadId, 'UploadId') }
      }),

    sendPart: ({ key, id }, number, body, cancel) =>
      runCall(cancel, async (send) => {
        const command = new UploadPartCommand({ Bucket, Key: key, UploadId: id, PartNumber: number, ...bodyOf(body) })
        command.middlewareStack.add(sayHash(body.sha256 ?? unsigned), { step: 'build', name: 'sayHash' })
        return required((await bulk.send(command, send)).ETag, 'ETag')
      }),

    complete: ({ key, id }, parts, cancel) =>
      runCall(cancel, async (send) => {
        const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }))
        const upload = { Bucket, Key: key, UploadId: id, MultipartUpload: { Parts } }
        required((await slow.send(new CompleteMultipartUploadCommand(upload), send)).ETag, 'ETag')
      }),

    abort: ({ key, id }, cancel) =>
      runCall(cancel, async (send) => {
        await small.send(new AbortMultipartUploadCommand({ Bucket, Key: key, UploadId: id }), send)
      }),

    listMultiparts: (prefix, { after, ...cancel }) =>
      runCall(cancel, async (send) => {
        const from = after && { KeyMarker: after.key, ...(after.id === '' ? {} : { UploadIdMarker: after.id }) }
        const answer = await small.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...from }), send)
        const { Uploads = [], NextKeyMarker, NextUploadIdMarker = '' } = answer
        const IsTruncated = required(answer.IsTruncated, 'IsTruncated')
        return {
          uploads: Uploads.map(({ Key, UploadId, Initiated }) => ({
            key: required(Key, 'Key'),
            id: required(UploadId, 'UploadId'),
            started: toSeconds(required(Initiated, 'Initiated')),
          })),
          next: IsTruncated ? { key: required(NextKeyMarker, 'NextKeyMarker'), id: NextUploadIdMarker } : undefined,
        }
      }),

    lastPartTime: ({ key, id }, cancel) =>
      runCall(cancel, async (send) => {
        let last: number | undefined
        let marker: { PartNumberMarker?: string } | undefined = {}
        while (marker !== undefined) {
          const command: ListPartsCommand = new ListPartsCommand({ Bucket, Key: key, UploadId: id, ...marker })
          const { Parts = [], IsTruncated, NextPartNumberMarker } = await small.send(command, send)
          for (const { LastModified } of Parts) {
            last = Math.max(last ?? 0, toSeconds(required(LastModified, 'LastModified')))
          }
          marker =
            IsTruncated === true && NextPartNumberMarker !== undefined
              ? { PartNumberMarker: NextPartNumberMarker }
              : undefined
        }
        return last
      }),
  }
}
