/** What must hold between options. Each rule names the options it compares, so that it is left out when one of them is wrong by itself. */
import type { Config } from './schema.ts'
import { formatSize } from './units.ts'

export interface Rule {
  /** The paths it compares; the first is the one reported. */
  readonly paths: readonly [string, ...string[]]
  /** What is wrong, or `undefined`. */
  readonly check: (config: Config) => string | undefined
}

/** Classes of Amazon S3 whose objects have to be restored, for hours, before they can be read. */
const archives = new Set(['GLACIER', 'DEEP_ARCHIVE'])

const anyAddress = new Set(['0.0.0.0', '::'])

const s3Rules: readonly Rule[] = [
  {
    paths: ['storage.s3.bucket', 'storage.kind'],
    check: ({ storage: { kind, s3 } }) =>
      kind === 's3' && s3.bucket === ''
        ? 'found nothing, expected the name of a bucket: storage.kind is s3'
        : undefined,
  },
  {
    paths: ['storage.s3.bucket'],
    check: ({ storage: { s3 } }) =>
      s3.bucket.endsWith('--x-s3')
        ? `found ${s3.bucket}, expected a general purpose bucket: a directory bucket lists its keys in no order`
        : undefined,
  },
  {
    paths: ['storage.s3.accessKeyId', 'storage.s3.secretAccessKey'],
    check: ({ storage: { s3 } }) =>
      s3.accessKeyId === '' && s3.secretAccessKey !== ''
        ? 'found nothing, expected a text: storage.s3.secretAccessKey is given, and neither is of use alone'
        : undefined,
  },
  {
    paths: ['storage.s3.secretAccessKey', 'storage.s3.accessKeyId'],
    check: ({ storage: { s3 } }) =>
      s3.secretAccessKey === '' && s3.accessKeyId !== ''
        ? 'found nothing, expected a text: storage.s3.accessKeyId is given, and neither is of use alone'
        : undefined,
  },
  {
    paths: ['storage.s3.kmsKeyId', 'storage.s3.encryption'],
    check: ({ storage: { s3 } }) =>
      s3.kmsKeyId !== '' && s3.encryption !== 'aws:kms'
        ? `found ${s3.kmsKeyId}, expected nothing: storage.s3.encryption is ${s3.encryption}, only aws:kms has a key`
        : undefined,
  },
  {
    paths: ['storage.s3.storageClass'],
    check: ({ storage: { s3 } }) =>
      archives.has(s3.storageClass)
        ? `found ${s3.storageClass}, expected a class whose objects can be read at once, like GLACIER_IR`
        : undefined,
  },
  {
    paths: ['storage.s3.bufferBytes', 'storage.s3.partBytes'],
    check: ({ storage: { s3 } }) =>
      s3.bufferBytes < 4 * s3.partBytes
        ? `found ${formatSize(s3.bufferBytes)}, expected at least four times storage.s3.partBytes, which is ${formatSize(s3.partBytes)}`
        : undefined,
  },
  {
    paths: ['storage.s3.redirectEndpoint', 'storage.s3.redirect'],
    check: ({ storage: { s3 } }) =>
      s3.redirectEndpoint !== '' && !s3.redirect
        ? `found ${s3.redirectEndpoint}, expected nothing: storage.s3.redirect is false, so nobody is sent there`
        : undefined,
  },
]

export const rules: readonly Rule[] = [
  {
    paths: ['workers.count', 'storage.kind'],
    check: ({ workers, storage }) =>
      storage.kind === 'memory' && workers.count > 1
        ? `found ${workers.count}, expected 0 or 1: a store in memory cannot be shared by processes`
        : undefined,
  },
  {
    paths: ['workers.restart', 'workers.maxRestart'],
    check: ({ workers }) =>
      workers.restartMs > workers.maxRestartMs
        ? `found ${workers.restartMs}ms, expected at most workers.maxRestart, which is ${workers.maxRestartMs}ms`
        : undefined,
  },
  {
    paths: ['http.pageSize', 'http.maxPageSize'],
    check: ({ http }) =>
      http.pageSize > http.maxPageSize
        ? `found ${http.pageSize}, expected at most http.maxPageSize, which is ${http.maxPageSize}`
        : undefined,
  },
  {
    paths: ['http.accelPrefix', 'storage.kind'],
    check: ({ http, storage }) =>
      http.accelPrefix !== '' && storage.kind !== 'filesystem'
        ? `found ${http.accelPrefix}, expected nothing: only a store of the kind filesystem has files that nginx can send`
        : undefined,
  },
  {
    paths: ['pulse.port', 'http.port', 'pulse.address', 'http.address', 'pulse.enabled'],
    check: ({ http, pulse }) => {
      const overlaps = http.address === pulse.address || anyAddress.has(http.address) || anyAddress.has(pulse.address)
      return pulse.enabled && overlaps && pulse.port !== 0 && pulse.port === http.port
        ? `found ${pulse.port}, which is the port of the registry (http.port); expected another`
        : undefined
    },
  },
  ...s3Rules,
]
