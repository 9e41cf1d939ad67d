/** One page of a list, by the SDK. */
import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import type { Bucket } from './bucket.ts'
import type { AnswerTimes } from './client.ts'
import type { S3StoreOptions } from './options.ts'
import { required, runCall, toSeconds } from './run-call.ts'

export function createListCall(options: S3StoreOptions, client: S3Client, times: AnswerTimes): Pick<Bucket, 'list'> {
  return {
    list: ({ prefix, after, delimiter, limit, token, ...cancel }) =>
      runCall(cancel, async (send) => {
        const command = new ListObjectsV2Command({
          Bucket: options.bucket,
          Prefix: prefix,
          MaxKeys: limit,
          ...(after === undefined ? {} : { StartAfter: after }),
          ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
          ...(token === undefined ? {} : { ContinuationToken: token }),
        })
        const answer = await client.send(command, send)
        const { Contents = [], CommonPrefixes = [], NextContinuationToken } = answer
        // A page of something in front of the store would else be a list of nothing, of which the sweep makes a registry of nothing.
        const IsTruncated = required(answer.IsTruncated, 'IsTruncated')
        return {
          objects: Contents.map(({ Key, Size = 0, LastModified }) => ({
            key: required(Key, 'Key'),
            size: Size,
            modified: toSeconds(required(LastModified, 'LastModified')),
          })),
          prefixes: CommonPrefixes.map(({ Prefix }) => required(Prefix, 'Prefix')),
          next: IsTruncated ? required(NextContinuationToken, 'NextContinuationToken') : undefined,
          now: required(times.get(answer), 'Date'),
        }
      }),
  }
}
