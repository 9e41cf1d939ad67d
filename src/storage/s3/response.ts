/** What the answers to get and head say. */
import type { Readable } from 'node:stream'
import type { ByteRange } from '../driver.ts'
import type { Head } from './bucket.ts'
import { S3Error } from './errors.ts'
import { required } from './run-call.ts'

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>

function headerOf(headers: ResponseHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** `bytes 0-9/100` has 100. RFC 9110, section 14.4. */
function totalOf(headers: ResponseHeaders): number {
  const range = headerOf(headers, 'content-range')
  const text = range === undefined ? headerOf(headers, 'content-length') : range.slice(range.lastIndexOf('/') + 1)
  const total = Number(required(text, 'length'))
  return required(Number.isSafeInteger(total) ? total : undefined, 'length')
}

export function readHead(headers: ResponseHeaders): Head {
  const etag = required(headerOf(headers, 'etag'), 'ETag')
  const modified = Date.parse(required(headerOf(headers, 'last-modified'), 'Last-Modified'))
  return { size: totalOf(headers), modified, etag, writer: headerOf(headers, 'x-amz-meta-writer') }
}

/** An error document is short; what is longer is none. */
const maxErrorBytes = 65_536

export async function readError(status: number, body: AsyncIterable<Buffer>): Promise<S3Error> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxErrorBytes) break
  }
  const text = Buffer.concat(chunks).toString()
  const find = (tag: string): string | undefined => new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(text)?.[1]
  return new S3Error(find('Code') ?? 'UnknownError', status, find('Message') ?? '')
}

/**
 * A store may ignore `Range` and send all; that is right only where all was asked. One that sends a part must send the one that was asked, or what there is of
 * it. RFC 9110, sections 14.2 and 15.3.7.
 */
export function checkPart({ start, end }: ByteRange, status: number, headers: ResponseHeaders): void {
  const total = totalOf(headers)
  const whole = status === 200 ? `bytes 0-${total - 1}/${total}` : headerOf(headers, 'content-range')
  if (whole === `bytes ${start}-${Math.min(end, total) - 1}/${total}`) return
  throw new S3Error('WrongRange', undefined, 'the store sends another range than was asked')
}

/** A stream of bytes, chunk by chunk. */
export async function* chunksOf(body: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) throw new Error('a body brings something else than bytes')
    yield chunk
  }
}
