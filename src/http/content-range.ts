/** `Content-Range` of a chunk and `Range` of an upload's answers: `0-99`, without a unit. distribution-spec v1.1.1, "Pushing a blob in chunks". */
import { OciError } from '../oci/errors.ts'
import type { ByteRange } from '../storage/driver.ts'

const pattern = /^(\d{1,16})-(\d{1,16})$/

/** Parses the `Content-Range` of a chunk. Throws BLOB_UPLOAD_INVALID when it is not `first-last`. */
export function parseContentRange(header: string): ByteRange {
  const match = pattern.exec(header.trim())
  const range = { start: Number(match?.[1]), end: Number(match?.[2]) + 1 }
  // NaN fails every comparison.
  if (range.start < range.end && Number.isSafeInteger(range.end)) return range
  throw new OciError('BLOB_UPLOAD_INVALID', 'the Content-Range of a chunk is first-last, in bytes, both inclusive', {
    detail: { contentRange: header.slice(0, 100) },
  })
}

/** `Range` of an upload that holds `offset` bytes; `0-0` for none, because Docker cannot read an end below the start. */
export function formatUploadRange(offset: number): string {
  return `0-${Math.max(offset - 1, 0)}`
}
