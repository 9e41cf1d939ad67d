/** The options of the section `storage.s3`: where the bucket is, how to get in, and how much the store may use. */
import { networks } from './networks-option.ts'
import { choice, duration, type Form, matching, number, onOff, optionalText, section, size, text } from './option.ts'
import { url } from './url-option.ts'

/** General purpose buckets, see "Bucket naming rules" in the guide of Amazon S3; two dots side by side are no host name. */
const bucketName = matching(
  /^(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
  'the name of a bucket: 3 to 63 of a-z, 0-9, dot and hyphen, with a letter or digit at both ends',
)

/** Leaves 824 of the 1,024 bytes of a key to Berth. */
const maxPrefixBytes = 200

/** Characters and segments are those that every key may have (`storage/driver.ts`); the value ends in a slash. */
const keyPrefix: Form = {
  parse(written) {
    const value = written.endsWith('/') ? written : `${written}/`
    const isGood = /^(?:[A-Za-z0-9_\-!+~^@][A-Za-z0-9._\-!+~^@]*\/)+$/.test(value) && value.length <= maxPrefixBytes
    return isGood ? value : undefined
  },
  expected: `words with slashes between them, like team/berth: of A-Z, a-z, 0-9 and . _ - ! + ~ ^ @, none begins with a dot; ${maxPrefixBytes} characters at most`,
}

/** The SDK takes no other either: it may become a part of the host name. */
const regionName = matching(
  /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$/,
  'the name of a region: letters, digits and hyphens, like eu-central-1',
)

/** What may stand in a header, and is written without quotes there. */
const visible = /^[\x21-\x7e]{1,2048}$/

/** A blank or newline at an end is left from copying. */
const secret = matching(
  /^(?!\s)\P{Cc}{1,1024}(?<!\s)$/u,
  'a secret without a blank at its ends, in quotes when it is all digits',
)

const where = {
  endpoint: url({
    reason: 'Where the store is; empty: AWS, in the region. Write https unless the network in between is yours.',
  }),
  region: text({
    default: 'us-east-1',
    form: regionName,
    reason: 'It is part of every signature: that of the bucket on AWS; most other stores take this one.',
  }),
  bucket: optionalText({
    form: bucketName,
    reason:
      'It must be there already; no lifecycle rule may remove what Berth wrote. Needed when `storage.kind` is `s3`.',
  }),
  prefix: optionalText({
    form: keyPrefix,
    reason: 'What every key begins with, where others use the bucket, too; Berth ends it with a slash.',
  }),
  pathStyle: choice({
    of: ['auto', 'on', 'off'],
    default: 'auto',
    reason: 'Whether the bucket stands in the path or in the host name; `auto`: in the path when there is an endpoint.',
  }),
  caFile: optionalText({
    form: matching(/^[^\0]+$/, 'the path of a file with certificates (PEM)'),
    reason:
      'Certificates of authorities that are trusted beside the usual ones: for a store with a certificate of your own.',
  }),
}

const credentials = {
  accessKeyId: optionalText({
    form: matching(visible, 'an access key without blanks, in quotes when it is all digits'),
    reason: 'Empty: the AWS SDK looks for both keys: its variables and files, a web identity, the role of the machine.',
  }),
  secretAccessKey: optionalText({
    form: secret,
    secret: 'secret',
    reason: 'Belongs to the access key. Better in a file that its variable with `_FILE` behind it names.',
  }),
}

const objects = {
  encryption: choice({
    of: ['default', 'AES256', 'aws:kms'],
    default: 'default',
    reason: 'What the store is asked to encrypt with; `default`: what the bucket has for objects that do not say.',
  }),
  kmsKeyId: optionalText({
    form: matching(visible, 'the id of a key without blanks'),
    reason: 'The key for `aws:kms`: its id, alias or ARN; empty: the one that the account has for S3.',
  }),
  storageClass: optionalText({
    form: matching(/^[A-Z][A-Z0-9_]{0,63}$/, 'a storage class of the store, like STANDARD_IA'),
    reason: 'Of the bytes of blobs; records, which are small and often read, have the default. Empty: blobs, too.',
  }),
  conditionalDelete: choice({
    of: ['auto', 'exact', 'none'],
    default: 'auto',
    reason:
      'Whether `DELETE` with `If-Match` is `exact` also in a race; `auto`: on AWS only. Wrongly `exact` loses what was pushed.',
  }),
  multipartAgeMs: duration({
    min: '1h',
    max: '30d',
    default: '24h',
    reason:
      'A multipart upload of which nothing was sent for so long was left by a killed process; the sweep aborts it.',
  }),
}

const transfers = {
  partBytes: size({
    min: '5MiB',
    max: '512MiB',
    default: '8MiB',
    reason:
      'Every part of an upload but the last; a body may have 10,000, so 78 GiB where its length is not told before.',
  }),
  uploadConcurrency: number({
    min: 1,
    max: 32,
    default: 4,
    reason: 'How many parts of one upload are sent at once, while there is memory for them.',
  }),
  bufferBytes: size({
    min: '32MiB',
    max: '16GiB',
    default: '128MiB',
    reason: 'Memory of parts on their way, in each process; one of each upload is always sent and one gathered.',
  }),
  readBufferBytes: size({
    min: '4MiB',
    max: '4GiB',
    default: '32MiB',
    reason: 'Memory of bytes on their way to clients, in each process: two buffers for each, of 4 MiB while those fit.',
  }),
  maxConnections: number({
    min: 1,
    max: 10_000,
    default: 256,
    reason:
      'Connections for small calls, in each process; those with bytes of blobs are as many as there are transfers.',
  }),
  connectTimeoutMs: duration({
    min: '100ms',
    max: '1m',
    default: '3s',
    reason: 'How long a connection may take to open; a store nearby takes milliseconds.',
  }),
  socketTimeoutMs: duration({
    min: '1s',
    max: '10m',
    default: '30s',
    reason: 'How long the store may be silent within a call: longer than a busy one, shorter than clients wait.',
  }),
  maxAttempts: number({
    min: 1,
    max: 10,
    default: 4,
    reason: 'How often a call is made at most that failed for the moment; what must not be repeated never is.',
  }),
}

const redirecting = {
  redirect: onOff({
    default: false,
    reason:
      'Whether blobs are pulled from the store, by a signed URL; clients must be able to reach it, on another host.',
  }),
  redirectEndpoint: url({
    reason: 'How clients reach the store, when not as Berth does; empty: by the endpoint. It must be the same store.',
  }),
  redirectNetworks: networks({
    reason:
      'Who is sent to the store, by the address that `limits.trustedProxies` gives; others get blobs here. None: all.',
  }),
  redirectUrlAgeMs: duration({
    min: '1m',
    max: '7d',
    default: '20m',
    reason: 'How long a signed URL is good: whoever sees it may pull that blob; a pull that has begun goes on.',
  }),
}

export const s3 = section('A bucket of S3, or of a store that speaks it, used when `storage.kind` is `s3`.', {
  ...where,
  ...credentials,
  ...objects,
  ...transfers,
  ...redirecting,
})
