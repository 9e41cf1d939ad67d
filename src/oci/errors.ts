/**
 * The one table of errors a client can see, and the one error type that carries them. Pure vocabulary: it must not know how an error is
 * sent. Codes and meanings: distribution-spec v1.1.1, "Error Codes"; those marked "ecosystem" are what registries answer beyond it.
 */

/** Every code with its HTTP status and the meaning that the API page prints. */
export const errorTable = {
  BLOB_UNKNOWN: { status: 404, meaning: 'The repository does not hold this blob.' },
  BLOB_UPLOAD_INVALID: { status: 400, meaning: 'The request does not fit the upload session.' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, meaning: 'There is no such upload session; it ended or was cancelled.' },
  DENIED: { status: 403, meaning: 'The principal may not do this here, or the tag is immutable.' },
  DIGEST_INVALID: { status: 400, meaning: 'The digest is malformed, or is not the digest of the content.' },
  MANIFEST_BLOB_UNKNOWN: {
    status: 400,
    meaning: 'The manifest names a blob or manifest that the repository does not hold.',
  },
  MANIFEST_INVALID: { status: 400, meaning: 'The manifest is malformed, or contradicts its media type.' },
  MANIFEST_UNKNOWN: { status: 404, meaning: 'The repository has no such manifest.' },
  NAME_INVALID: { status: 400, meaning: 'The repository name is malformed.' },
  NAME_UNKNOWN: { status: 404, meaning: 'There is no such repository.' },
  NOT_FOUND: { status: 404, meaning: 'There is no such endpoint (ecosystem).' },
  PAGINATION_NUMBER_INVALID: { status: 400, meaning: '`n` is not a whole number in range (ecosystem).' },
  PRECONDITION_FAILED: { status: 412, meaning: 'A condition of the request does not hold (ecosystem).' },
  RANGE_INVALID: {
    status: 416,
    meaning: 'The range lies outside of the content, or does not go on where the upload stands.',
  },
  REQUEST_INVALID: { status: 400, meaning: 'The request is malformed (ecosystem).' },
  REQUEST_TIMEOUT: { status: 408, meaning: 'The request body stopped arriving (ecosystem).' },
  SIZE_INVALID: { status: 400, meaning: 'The length of the content is not the length that was announced.' },
  STORAGE_FULL: { status: 507, meaning: 'The store has no room; reads and deletes go on (ecosystem).' },
  TAG_INVALID: { status: 400, meaning: 'The tag is malformed.' },
  TOO_LARGE: { status: 413, meaning: 'The content is larger than the limit (ecosystem).' },
  TOOMANYREQUESTS: { status: 429, meaning: 'Too many requests or uploads; try again after `Retry-After`.' },
  UNAUTHORIZED: { status: 401, meaning: 'Credentials are needed, or are wrong.' },
  UNAVAILABLE: {
    status: 503,
    meaning: 'The store did not answer, or there are too many connections; try again after `Retry-After` (ecosystem).',
  },
  UNKNOWN: { status: 500, meaning: 'The server failed; the request id leads to its log (ecosystem).' },
  UNSUPPORTED: {
    status: 405,
    meaning: 'The operation is not supported here, or not while an index, or a push of one, names the manifest.',
  },
} as const

export type ErrorCode = keyof typeof errorTable

export interface ErrorExtras {
  /** Machine-readable detail for `errors[].detail`. */
  readonly detail?: unknown
  /** Headers that belong to the answer, e.g. `Location` and `Range` of a 416. */
  readonly headers?: Readonly<Record<string, string>>
  readonly cause?: unknown
}

/** A refusal that the client is told: code, message (says what was wrong and what would be right), detail, headers. */
export class OciError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly detail: unknown
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause })
    this.name = 'OciError'
    this.code = code
    this.status = errorTable[code].status
    this.detail = extras.detail
    this.headers = extras.headers ?? {}
  }
}
