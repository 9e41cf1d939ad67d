/** The `Range` request header of a download, and `Content-Range` of its answer. RFC 9110 §14. It must not know what is downloaded. */
import { OciError } from '../oci/errors.ts'
import type { ByteRange } from '../storage/driver.ts'

function notSatisfiable(message: string, size: number): OciError {
  // RFC 9110 §15.5.17: the answer says the size, so that the client can ask better.
  return new OciError('RANGE_INVALID', message, { headers: { 'Content-Range': `bytes */${size}` }, detail: { size } })
}

const specPattern = /^(?:(\d+)-(\d*)|-(\d+))$/

/** One range-spec as a range within the size; undefined when it lies outside. RFC 9110 §14.1.2. */
function resolveSpec(spec: string, size: number): ByteRange | undefined {
  const match = specPattern.exec(spec)
  if (match === null) throw notSatisfiable('a range is first-last, first- or -length, in bytes', size)
  const [, first, last, suffix] = match
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size)
    return length === 0 ? undefined : { start: size - length, end: size }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) throw notSatisfiable('a range must not end before it starts', size)
  return start >= size ? undefined : { start, end: last === '' ? size : Math.min(Number(last) + 1, size) }
}

/**
 * The ranges that a `Range` header asks of content of `size` bytes, in the order asked; undefined when the whole content is to be sent: no
 * header, or a unit other than bytes (RFC 9110 §14.2: to be ignored).
 *
 * Throws RANGE_INVALID (416) when malformed or when nothing of it lies within the content. Throws REQUEST_INVALID (400) for more than `maxRanges` ranges and for
 * ranges that add up to more than the content (RFC 9110 §14.2 and §17.15 warn of both): 400 is what containers/image takes as "not in one request".
 */
export function parseRange(header: string, size: number, maxRanges: number): readonly ByteRange[] | undefined {
  const equals = header.indexOf('=')
  if (equals < 0 || header.slice(0, equals).trim().toLowerCase() !== 'bytes') return undefined
  const specs = header
    .slice(equals + 1)
    .split(',')
    .map((spec) => spec.trim())
    // RFC 9110 §5.6.1: empty list elements are ignored.
    .filter((spec) => spec !== '')
  if (specs.length > maxRanges) throw new OciError('REQUEST_INVALID', `at most ${maxRanges} ranges in one request`)
  const ranges = specs.map((spec) => resolveSpec(spec, size)).filter((range) => range !== undefined)
  if (ranges.length === 0) throw notSatisfiable(`the content has ${size} bytes`, size)
  const asked = ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  if (asked > size) throw new OciError('REQUEST_INVALID', 'the ranges overlap and add up to more than the content')
  return ranges
}

/** `Content-Range` of one part. RFC 9110 §14.4. */
export function formatContentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`
}
