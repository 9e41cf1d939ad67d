/** Reads the bytes of a link through and says whether they are what size and digest promise. */
import { Writable } from 'node:stream'
import { algorithmOf, createHasher, type Digest, digestOf } from '../../oci/digest.ts'
import type { Cancel } from '../../storage/driver.ts'
import type { LinkRecord } from '../records.ts'
import type { ScrubContext } from './context.ts'

/** `gone`: nothing is there. `damaged`: something else is there, or not all. */
export type BytesState =
  | { readonly state: 'whole' }
  | { readonly state: 'gone' }
  | { readonly state: 'damaged'; readonly detail: string }

function damaged(detail: string): BytesState {
  return { state: 'damaged', detail }
}

/** What the store says of the segments without reading them; `undefined` when all is as the link says. */
async function checkSizes({ driver }: ScrubContext, link: LinkRecord, cancel: Cancel): Promise<BytesState | undefined> {
  let missing = 0
  let firstWrong: string | undefined
  for (const { key, size } of link.segments) {
    const stat = await driver.stat(key, cancel)
    if (stat === undefined) missing++
    if (stat === undefined) firstWrong ??= `${key} is missing`
    else if (stat.size !== size) firstWrong ??= `${key} has ${stat.size} bytes instead of ${size}`
  }
  if (missing === link.segments.length) return { state: 'gone' }
  if (firstWrong !== undefined) return damaged(firstWrong)
  const total = link.segments.reduce((sum, { size }) => sum + size, 0)
  return total === link.size ? undefined : damaged(`the segments have ${total} bytes, the link says ${link.size}`)
}

/** Hands on each chunk, and takes the next when the promise resolves. */
function createSink(consume: (chunk: Buffer) => Promise<void>): Writable {
  const take = async (chunk: Buffer, done: (error?: Error) => void): Promise<void> => {
    try {
      await consume(chunk)
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
      return
    }
    done()
  }
  return new Writable({ write: (chunk: Buffer, _encoding, done) => void take(chunk, done) })
}

/** Reads everything once, at the scrub's pace. Throws when the store fails. */
export async function checkBytes(
  scrub: ScrubContext,
  link: LinkRecord,
  digest: Digest,
  cancel: Cancel,
): Promise<BytesState> {
  const wrong = await checkSizes(scrub, link, cancel)
  if (wrong !== undefined) return wrong
  const algorithm = algorithmOf(digest)
  const hasher = createHasher(algorithm)
  const sink = createSink((chunk) => {
    hasher.update(chunk)
    return scrub.pace(chunk.length, cancel)
  })
  for (const { key, size } of link.segments) {
    const opened = await scrub.driver.open(key, { start: 0, end: size }, cancel)
    if (opened === undefined) return damaged(`${key} is missing`)
    await opened.copyTo(sink, cancel)
  }
  const computed = digestOf(algorithm, hasher)
  return computed === digest ? { state: 'whole' } : damaged(`the bytes have the digest ${computed}`)
}
