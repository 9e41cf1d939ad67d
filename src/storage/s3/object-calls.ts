/** Writing, copying and removing one object, by the SDK. */
import { CopyObjectCommand, DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import type { ObjectCalls } from './bucket.ts'
import { sayHash } from './client.ts'
import type { S3StoreOptions } from './options.ts'
import { bodyOf, encryptionOf, required, runCall, storageClassOf, unsigned } from './run-call.ts'
import { encodePath } from './signer.ts'

interface Clients {
  readonly small: S3Client
  readonly bulk: S3Client
}

export function createObjectCalls(options: S3StoreOptions, { small, bulk }: Clients): ObjectCalls {
  const { bucket: Bucket } = options
  return {
    put: (Key, body, { writer, ifAbsent = false, content, ...cancel }) =>
      runCall(cancel, async (send) => {
        const command = new PutObjectCommand({
          Bucket,
          Key,
          ...bodyOf(body),
          Metadata: { writer },
          ...encryptionOf(options),
          ...(content === 'blob' ? storageClassOf(options) : {}),
          ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
        })
        command.middlewareStack.add(sayHash(body.sha256 ?? unsigned), { step: 'build', name: 'sayHash' })
        required((await (content === 'blob' ? bulk : small).send(command, send)).ETag, 'ETag')
      }),

    // Its metadata comes along, and with that who wrote it.
    copy: (from, Key, cancel) =>
      runCall(cancel, async (send) => {
        const CopySource = encodePath(`${Bucket}/${from}`)
        const command = new CopyObjectCommand({ Bucket, Key, CopySource, ...encryptionOf(options) })
        required((await small.send(command, send)).CopyObjectResult?.ETag, 'ETag')
      }),

    remove: (Key, { etag, ...cancel }) =>
      runCall(cancel, async (send) => {
        await small.send(
          new DeleteObjectCommand({ Bucket, Key, ...(etag === undefined ? {} : { IfMatch: etag }) }),
          send,
        )
      }),
  }
}
