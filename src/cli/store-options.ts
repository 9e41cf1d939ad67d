/** What the configuration says of the store, as the drivers take it, and where that is in words for people: without any secret. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Config } from '../config/schema.ts'
import { describeReadFailure } from '../config/setting.ts'
import type { StoreOptions } from '../storage/open.ts'
import type { S3StoreOptions } from '../storage/s3/options.ts'
import { CommandError } from './command.ts'

/** Reads the files that the options name, too; throws CommandError when it cannot. */
export async function readStoreOptions(
  { kind, filesystem, memory, s3 }: Config['storage'],
  isBackground: boolean,
): Promise<StoreOptions> {
  if (kind === 'memory') return { kind, maxBytes: memory.maxBytes }
  if (kind === 'filesystem') return { kind, ...filesystem, root: resolve(filesystem.root), isBackground }
  return { kind, ...toS3Options(s3, await readCertificates(s3.caFile)) }
}

/** An option that was left out is an empty text, and absent for the driver. */
function toS3Options(s3: Config['storage']['s3'], certificates: string | undefined): S3StoreOptions {
  const { accessKeyId, secretAccessKey } = s3
  return {
    endpoint: s3.endpoint || undefined,
    region: s3.region,
    bucket: s3.bucket,
    prefix: s3.prefix,
    pathStyle: s3.pathStyle,
    // Both or none, says a rule of the configuration.
    credentials: accessKeyId === '' ? undefined : { accessKeyId, secretAccessKey },
    encryption: s3.encryption,
    kmsKeyId: s3.kmsKeyId || undefined,
    storageClass: s3.storageClass || undefined,
    certificates,
    partBytes: s3.partBytes,
    uploadConcurrency: s3.uploadConcurrency,
    bufferBytes: s3.bufferBytes,
    readBufferBytes: s3.readBufferBytes,
    maxConnections: s3.maxConnections,
    connectTimeoutMs: s3.connectTimeoutMs,
    socketTimeoutMs: s3.socketTimeoutMs,
    maxAttempts: s3.maxAttempts,
    conditionalDelete: s3.conditionalDelete,
    multipartAgeMs: s3.multipartAgeMs,
    redirect: s3.redirect ? { endpoint: s3.redirectEndpoint || undefined, urlAgeMs: s3.redirectUrlAgeMs } : undefined,
  }
}

async function readCertificates(caFile: string): Promise<string | undefined> {
  if (caFile === '') return undefined
  const pem = await readFile(caFile, 'utf8').catch((error: unknown) => {
    const message = `cannot read storage.s3.caFile ${JSON.stringify(caFile)}: ${describeReadFailure(error)}`
    throw new CommandError('cannotStart', message, { cause: error })
  })
  // Node.js takes any text, and then trusts nobody new.
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new CommandError('cannotStart', `storage.s3.caFile ${JSON.stringify(caFile)} holds no certificate in PEM`)
  }
  return pem
}

/** Where data goes. */
export function describePlace(store: StoreOptions): string {
  if (store.kind === 'memory') return 'memory, gone when Berth stops'
  if (store.kind === 'filesystem') return store.root
  return `s3://${store.bucket}/${store.prefix} at ${store.endpoint ?? `AWS in ${store.region}`}`
}
