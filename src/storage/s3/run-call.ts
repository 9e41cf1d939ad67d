/** What all calls by the SDK share: how they are cancelled, how they fail, what they say of encryption and storage class, how a body is sent. */
import { Readable } from 'node:stream'
import type { ServerSideEncryption, StorageClass } from '@aws-sdk/client-s3'
import type { Cancel } from '../driver.ts'
import type { Body } from './bucket.ts'
import { S3Error, toS3Error } from './errors.ts'
import type { S3StoreOptions } from './options.ts'

/** Runs one call; an aborted one rejects with the reason of its signal, any other that fails with an `S3Error`. */
export async function runCall<T>(
  { signal }: Cancel,
  call: (options: { abortSignal?: AbortSignal }) => Promise<T>,
): Promise<T> {
  try {
    return await call(signal === undefined ? {} : { abortSignal: signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw toS3Error(error)
  }
}

/** What an answer must have. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new S3Error('MalformedAnswer', undefined, `the store's answer has no ${what}`)
  return value
}

/** Whole seconds: a listing may know it better than a header can say. */
export function toSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000) * 1000
}

export function encryptionOf({ encryption, kmsKeyId }: S3StoreOptions): {
  ServerSideEncryption?: ServerSideEncryption
  SSEKMSKeyId?: string
} {
  if (encryption === 'default') return {}
  return { ServerSideEncryption: encryption, ...(kmsKeyId === undefined ? {} : { SSEKMSKeyId: kmsKeyId }) }
}

/** The SDK's type has those of AWS; a store may have others, and refuses what it does not know. */
function isStorageClass(name: string): name is StorageClass {
  return name !== ''
}

export function storageClassOf({ storageClass = '' }: S3StoreOptions): { StorageClass?: StorageClass } {
  return isStorageClass(storageClass) ? { StorageClass: storageClass } : {}
}

export function bodyOf({ pieces, size }: Body): { Body: Uint8Array | Readable; ContentLength: number } {
  const [only, ...more] = pieces
  const body = only === undefined ? Buffer.alloc(0) : more.length === 0 ? only : Readable.from(pieces)
  return { Body: body, ContentLength: size }
}

/** What stands for the hash of a body that TLS protects. */
export const unsigned = 'UNSIGNED-PAYLOAD'
