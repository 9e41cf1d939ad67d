/** What a store said or did when a call went wrong, in one shape for the SDK and our own transport, and what that means to the driver. */
import { StorageError } from '../driver.ts'

/** A call that failed: `code` is S3's, or that of the network; `status` is absent when there was no answer. */
export class S3Error extends Error {
  readonly code: string
  readonly status: number | undefined

  constructor(code: string, status: number | undefined, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'S3Error'
    this.code = code
    this.status = status
  }
}

function textOf(value: object, name: string): string | undefined {
  const found: unknown = Reflect.get(value, name)
  return typeof found === 'string' && found !== '' ? found : undefined
}

function statusOf(error: object): number | undefined {
  const metadata: unknown = Reflect.get(error, '$metadata')
  if (typeof metadata !== 'object' || metadata === null) return undefined
  const status: unknown = Reflect.get(metadata, 'httpStatusCode')
  return typeof status === 'number' ? status : undefined
}

/** Node hides what happened to a connection behind a general error. */
function causeOf(error: Error): Error {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0]
  return error.cause instanceof Error && textOf(error, 'code') === undefined ? error.cause : error
}

/** Anything that the SDK, undici or Node throws. */
export function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error
  if (!(error instanceof Error)) return new S3Error('Unknown', undefined, String(error))
  const status = statusOf(error)
  const cause = causeOf(error)
  const message = textOf(cause, 'message')
  // It said that all was well, and then broke off or said something else than S3.
  if (status !== undefined && status < 300) {
    return new S3Error('MalformedAnswer', undefined, message ?? 'the answer is not one of S3', { cause: error })
  }
  const code = textOf(error, 'Code') ?? textOf(cause, 'code') ?? error.name
  return new S3Error(code, status, message ?? code, { cause: error })
}

/**
 * Whether the store says that the object or the upload is not there. A bucket that is not there is the operator's trouble, and a 404 of something in front of
 * the store says nothing of what is in it.
 */
export function isAbsent({ status, code }: S3Error): boolean {
  return status === 404 && (code === 'NoSuchKey' || code === 'NoSuchUpload')
}

/** Whether a condition of the request did not hold. */
export function isRefused({ status }: S3Error): boolean {
  return status === 412
}

/**
 * A key below another key, or above one, in a store that keeps them as files and folders. versitygw says it as well when somebody removed the last
 * other key of a folder just then, and the folder with it (`posix.go`, v1.8.0: any failed `mkdir` or `link`).
 */
const nestingCodes = new Set([
  'ExistingObjectIsDirectory',
  'ObjectParentIsFile',
  'XMinioObjectExistsAsDirectory',
  'XMinioParentIsObject',
])

/** The store would not do it now; AWS, "Error responses". MinIO has two sorts of `SlowDown`. */
const putOffCode =
  /^(?:SlowDown(?:Read|Write)?|ServiceUnavailable|ServerBusy|TooManyRequests|OperationAborted|ConditionalRequestConflict)$/

/** Nothing was sent. */
const unsentCodes = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'])

/**
 * Whether it is sure that nothing was done, and trying again may help. A 503 alone is not sure: what stands in front of a store answers so when its answer is
 * late, and the SDK calls a 200 so that broke off or has an error in it.
 */
export function isPutOff({ status, code }: S3Error): boolean {
  if (status === undefined) return unsentCodes.has(code)
  if (status === 409 && nestingCodes.has(code)) return true
  return status === 429 || ((status === 503 || status === 409) && putOffCode.test(code))
}

/** Of what the store takes for our mistake: a body that came late or garbled, a clock that the SDK then sets right. */
const passingCodes = new Set([
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'IncompleteBody',
  'BadDigest',
  'XAmzContentSHA256Mismatch',
])

/** Whether the same call may go well a moment later. It may have been done all the same. */
export function isTransient({ status, code }: S3Error): boolean {
  if (status === undefined) return !isCertificateCode(code)
  if (status === 408 || status === 409 || status === 429 || passingCodes.has(code)) return true
  return status >= 500 && status !== 501 && status !== 507
}

const certificateCode = /^(?:CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO)/

/** Whether the connection was refused by TLS. */
export function isCertificateCode(code: string): boolean {
  return certificateCode.test(code)
}

const fullCodes = new Set([
  'XMinioStorageFull',
  'QuotaExceeded',
  'InsufficientStorage',
  'NoSpaceLeft',
  'InsufficientCapacity',
])

/** What the driver throws; `doing` completes the sentence "… failed". */
export function translateError(doing: string, error: unknown): unknown {
  if (!(error instanceof S3Error)) return error
  const { code, status, message } = error
  if (nestingCodes.has(code)) return new Error(`${doing} failed: the key is also a prefix of another`, { cause: error })
  const said = message === '' || message === code ? code : `${code}: ${message}`
  const advice = status === 403 ? ': docs/storage.md has the rights that the credentials need' : ''
  const text = `${doing} failed: ${status === undefined ? said : `${said} (${status})`}${advice}`
  // This is told to clients.
  if (code === 'EntityTooLarge')
    return new StorageError('too large', 'the store takes no object of that size', { cause: error })
  if (status === 507 || fullCodes.has(code)) return new StorageError('full', text, { cause: error })
  return new StorageError('unavailable', text, { cause: error })
}
