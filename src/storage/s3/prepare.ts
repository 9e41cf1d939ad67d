/** Looks at the bucket before anything is done with it: what is wrong with it, the way to it or the credentials is one sentence that says what to do. */
import type { Bucket } from './bucket.ts'
import { isCertificateCode, type S3Error, toS3Error } from './errors.ts'
import type { S3Options } from './options.ts'
import type { Retry } from './retry.ts'

/** Signatures are refused when the clocks differ by 15 minutes, and URLs end early by as much: AWS, "Authenticating Requests". */
const maxClockDifferenceMs = 5 * 60_000

type Place = Pick<S3Options, 'endpoint' | 'region' | 'bucket' | 'prefix' | 'now' | 'warn'>

/** Rejects with one sentence for the operator when the bucket cannot be used; tells `warn` when it costs more than it should. */
export async function prepareBucket(bucket: Bucket, retry: Retry, place: Place): Promise<void> {
  let storeTime: number
  try {
    storeTime = (await retry(() => bucket.list({ prefix: place.prefix, limit: 1 }), {})).now
  } catch (error) {
    throw describeFailure(error, place)
  }
  const difference = place.now() - storeTime
  if (Math.abs(difference) > maxClockDifferenceMs) throw new Error(describeDifference(difference))
  await warnOfVersions(bucket, place)
}

/** One sentence for the operator. */
export function describeFailure(error: unknown, place: Place): Error {
  return new Error(explain(toS3Error(error), place), { cause: error })
}

/** For so long a start waits for what is only a warning. */
const maxWarningMs = 5000

async function warnOfVersions(bucket: Bucket, { bucket: name, warn }: Place): Promise<void> {
  if (warn === undefined) return
  // Many stores do not know this call, or do not let everybody make it: that is no fault.
  const keepsVersions = await bucket.keepsVersions({ signal: AbortSignal.timeout(maxWarningMs) }).catch(() => false)
  if (!keepsVersions) return
  warn(`the bucket ${name} has versioning on: deletes free nothing without a lifecycle rule that removes old versions`)
}

function describeDifference(ms: number): string {
  const minutes = Math.round(Math.abs(ms) / 60_000)
  return `the clock of this machine is ${minutes} minutes ${ms > 0 ? 'ahead of' : 'behind'} that of the store: set one of them right, e.g. by NTP`
}

/** Sentences for what the store answered; `said` is what it said. */
const refusals: Readonly<Record<string, (place: Place, said: string) => string>> = {
  NoSuchBucket: (place, said) =>
    `there is no bucket ${place.bucket} at ${nameOf(place)} (${said}): create it, or correct storage.s3.bucket`,
  InvalidBucketName: ({ bucket }, said) =>
    `the store does not take ${bucket} for the name of a bucket (${said}): correct storage.s3.bucket`,
  XAdminUserNotFound: (_, said) => credentials(`the store does not know the access key (${said})`),
  InvalidAccessKeyId: (_, said) => credentials(`the store does not know the access key (${said})`),
  SignatureDoesNotMatch: (_, said) => credentials(`the secret key does not belong to the access key (${said})`),
  ExpiredToken: (_, said) => credentials(`the credentials have expired (${said})`),
  InvalidToken: (_, said) => credentials(`the store does not take the session token (${said})`),
  CredentialsProviderError: (_, said) => credentials(`no credentials were found (${said})`),
  RequestTimeTooSkewed: (_, said) =>
    `the clocks of this machine and of the store differ by more than 15 minutes (${said}): set one of them right, e.g. by NTP`,
}

function credentials(what: string): string {
  return `${what}: check storage.s3.accessKeyId and storage.s3.secretAccessKey, or what the AWS SDK finds without them`
}

function nameOf({ endpoint, region }: Place): string {
  return endpoint ?? `AWS in ${region}`
}

/** The longest that is repeated of what a store, or the SDK, says. */
const maxSaid = 200

/** Advice to developers, by the SDK and by Node.js. */
const advice = /\. Deserialization error: to see .*|; if the root CA is installed locally.*/

/** One line, that ends without a stop: a sentence goes on behind it. */
function saidOf({ code, message }: S3Error): string {
  const line = message
    .replace(/\s+/g, ' ')
    .trim()
    .replace(advice, '')
    .slice(0, maxSaid)
    .replace(/[.:;]+$/, '')
  return line === '' || line === code ? code : `${code}: ${line}`
}

function textAt(value: unknown, ...[name, ...rest]: readonly string[]): string | undefined {
  if (name === undefined) return typeof value === 'string' && value !== '' ? value : undefined
  return typeof value === 'object' && value !== null ? textAt(Reflect.get(value, name), ...rest) : undefined
}

/** Where the bucket is, when the store says that we asked elsewhere: AWS, "Troubleshooting", says it in a header of a 301 and in the document of a 400. */
function regionOf({ cause }: S3Error): string | undefined {
  return textAt(cause, 'Region') ?? textAt(cause, '$response', 'headers', 'x-amz-bucket-region')
}

function explain(error: S3Error, place: Place): string {
  const { code, status } = error
  const said = saidOf(error)
  const refusal = refusals[code]
  if (refusal !== undefined) return refusal(place, said)
  const { bucket, region } = place
  if (status === 301 || code === 'AuthorizationHeaderMalformed' || code === 'PermanentRedirect') {
    const right = regionOf(error)
    const advice = right === undefined ? 'correct storage.s3.region' : `set storage.s3.region to ${right}`
    return `the bucket ${bucket} is not in the region ${region} (${said}): ${advice}`
  }
  if (status === 403) {
    return `the store does not let these credentials list the bucket ${bucket} (${said}): docs/storage.md has the rights that they need`
  }
  if (status === undefined) return explainSilence(error, said, place)
  if (status < 300) return describeStranger(said, place)
  if (status >= 500 && status !== 501) {
    return `the store at ${nameOf(place)} fails (${said}, ${status}): try again when it is well, its own log says more`
  }
  const advice = 'does storage.s3.endpoint name an S3 store, and does storage.s3.pathStyle suit it?'
  return `the store at ${nameOf(place)} does not list the bucket ${bucket} (${said}, ${status}): ${advice}`
}

function describeStranger(said: string, place: Place): string {
  return `${nameOf(place)} does not answer as an S3 store does (${said}): check storage.s3.endpoint`
}

/** There was no answer, or none that could be read. */
function explainSilence(error: S3Error, said: string, place: Place): string {
  const { code } = error
  const name = nameOf(place)
  if (isCertificateCode(code)) return explainTls(code, said, name)
  if (code === 'MalformedAnswer') return describeStranger(said, place)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `the name in ${name} is not found (${said}): check storage.s3.endpoint, and the name server of this machine`
  }
  const isReset = code === 'ECONNRESET' && place.endpoint?.startsWith('http:') === true
  const tls = isReset ? '; does the endpoint begin with https://?' : ''
  return `the store at ${name} does not answer (${said}): check storage.s3.endpoint and the way to it${tls}`
}

function explainTls(code: string, said: string, name: string): string {
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return `the store at ${name} does not speak TLS, or another version of it (${code}): does storage.s3.endpoint begin with http://?`
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    return `the certificate of ${name} is for another host (${said}): write its name in storage.s3.endpoint, or renew the certificate`
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return `the certificate of ${name} is not valid now (${said}): renew it, or set the clock right`
  }
  return `the certificate of ${name} is not trusted (${said}): name a file with its authority in storage.s3.caFile`
}
