/** Every S3 call is known by its request. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { describeCall } from './calls.ts'

it('calls are told apart', () => {
  const copy = { 'x-amz-copy-source': 'b/k' }
  const table: readonly (readonly [string, string, string, Record<string, string>?])[] = [
    ['GET', '/', 'ListBuckets'],
    ['PUT', '/b', 'CreateBucket'],
    ['HEAD', '/b/', 'HeadBucket'],
    ['GET', '/b?list-type=2&prefix=a%2F', 'ListObjectsV2'],
    ['GET', '/b/?uploads', 'ListMultipartUploads'],
    ['GET', '/b?versioning=', 'GetBucketVersioning'],
    ['POST', '/b?delete=', 'DeleteObjects'],
    ['GET', '/b/k/l?x-id=GetObject', 'GetObject'],
    ['HEAD', '/b/k', 'HeadObject'],
    ['PUT', '/b/k', 'PutObject'],
    ['PUT', '/b/k', 'CopyObject', copy],
    ['DELETE', '/b/k', 'DeleteObject'],
    ['POST', '/b/k?uploads', 'CreateMultipartUpload'],
    ['PUT', '/b/k?partNumber=1&uploadId=u', 'UploadPart'],
    ['PUT', '/b/k?partNumber=1&uploadId=u', 'UploadPartCopy', copy],
    ['GET', '/b/k?uploadId=u', 'ListParts'],
    ['POST', '/b/k?uploadId=u', 'CompleteMultipartUpload'],
    ['DELETE', '/b/k?uploadId=u', 'AbortMultipartUpload'],
  ]
  for (const [method, url, call, headers = {}] of table) assert.equal(describeCall({ method, url, headers }), call)
  assert.throws(() => describeCall({ method: 'PATCH', url: '/b', headers: {} }), /not an S3 call: PATCH \/b/)
})
