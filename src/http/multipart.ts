/** The frame of a `multipart/byteranges` answer: what stands before each part and at the end. RFC 9110 §14.6. It moves no bytes. */
import type { ByteRange } from '../storage/driver.ts'
import { formatContentRange } from './range.ts'

export interface MultipartFrame {
  readonly contentType: string
  /** The whole body with all parts, in bytes. */
  readonly contentLength: number
  /** What to write before each part, in their order. */
  readonly heads: readonly Buffer[]
  /** What to write behind the last part. */
  readonly tail: Buffer
}

/** Frames ranges of content of `size` bytes. `boundary` must not occur in the content: pass something random. RFC 2046 §5.1. */
export function frameParts(
  ranges: readonly ByteRange[],
  size: number,
  mediaType: string,
  boundary: string,
): MultipartFrame {
  const heads = ranges.map((range, i) =>
    Buffer.from(
      `${i === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${mediaType}\r\nContent-Range: ${formatContentRange(range, size)}\r\n\r\n`,
    ),
  )
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
  const parts = ranges.reduce((sum, { start, end }, i) => sum + (heads[i]?.length ?? 0) + end - start, 0)
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    contentLength: parts + tail.length,
    heads,
    tail,
  }
}
