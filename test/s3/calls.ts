/** Names the S3 call that an HTTP request is, path style; for scripts and expectations of tests. */
import type { IncomingHttpHeaders } from 'node:http'

export interface Seen {
  readonly method: string
  /** Path and query as they were sent. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

/** The first row that fits: method, what the path names, what must be there of the query (`key` or `key=value`) or, with `@`, of the headers. */
const rows = [
  ['GetBucketVersioning', 'GET', 'bucket', 'versioning'],
  ['GetBucketLocation', 'GET', 'bucket', 'location'],
  ['ListMultipartUploads', 'GET', 'bucket', 'uploads'],
  ['ListObjectsV2', 'GET', 'bucket', 'list-type=2'],
  ['ListObjects', 'GET', 'bucket', ''],
  ['HeadBucket', 'HEAD', 'bucket', ''],
  ['PutBucketVersioning', 'PUT', 'bucket', 'versioning'],
  ['CreateBucket', 'PUT', 'bucket', ''],
  ['DeleteBucket', 'DELETE', 'bucket', ''],
  ['DeleteObjects', 'POST', 'bucket', 'delete'],
  ['ListParts', 'GET', 'key', 'uploadId'],
  ['GetObject', 'GET', 'key', ''],
  ['HeadObject', 'HEAD', 'key', ''],
  ['UploadPartCopy', 'PUT', 'key', 'uploadId @x-amz-copy-source'],
  ['UploadPart', 'PUT', 'key', 'uploadId'],
  ['CopyObject', 'PUT', 'key', '@x-amz-copy-source'],
  ['PutObject', 'PUT', 'key', ''],
  ['CreateMultipartUpload', 'POST', 'key', 'uploads'],
  ['CompleteMultipartUpload', 'POST', 'key', 'uploadId'],
  ['AbortMultipartUpload', 'DELETE', 'key', 'uploadId'],
  ['DeleteObject', 'DELETE', 'key', ''],
  ['ListBuckets', 'GET', 'root', ''],
] as const

export type S3Call = (typeof rows)[number][0]

/** Throws for a request that is none of the calls above: then the table wants a row. */
export function describeCall({ method, url, headers }: Seen): S3Call {
  const { pathname, searchParams } = new URL(url, 'http://server')
  const [bucket = '', ...key] = pathname.slice(1).split('/')
  const named = key.join('/') !== '' ? 'key' : bucket !== '' ? 'bucket' : 'root'
  const has = (word: string): boolean => {
    if (word.startsWith('@')) return headers[word.slice(1)] !== undefined
    const [name = '', value] = word.split('=')
    return value === undefined ? searchParams.has(name) : searchParams.get(name) === value
  }
  const row = rows.find(
    ([, verb, what, marks]) => verb === method && what === named && marks.split(' ').every((w) => w === '' || has(w)),
  )
  if (row === undefined) throw new Error(`not an S3 call: ${method} ${url}`)
  return row[0]
}
