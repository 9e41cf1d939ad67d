/** Every way to bring a blob into a repository, with each request at the next process. */
import assert from 'node:assert/strict'
import { digestOf } from '../clients/layout.ts'
import type { Random } from './random.ts'
import { locationOf, withDigest } from './requests.ts'
import type { Send } from './requests.ts'

export const uploadWays = ['single', 'whole', 'streamed', 'chunked', 'mounted'] as const

export interface Upload {
  readonly repository: string
  readonly bytes: Buffer
  readonly way: (typeof uploadWays)[number]
  /** Where a mount may find it; whether it does is the registry's business. */
  readonly from: string
}

export async function uploadBlob(send: Send, random: Random, { repository, bytes, way, from }: Upload): Promise<void> {
  const digest = digestOf(bytes)
  const uploads = `/v2/${repository}/blobs/uploads/`
  switch (way) {
    case 'single':
      await send({ method: 'POST', path: withDigest(uploads, digest), headers: octets, body: bytes, expect: [201] })
      return
    case 'whole':
      await putWhole(send, await start(send, uploads), bytes)
      return
    case 'streamed': {
      const session = await start(send, uploads)
      const sent = await send({ method: 'PATCH', path: session, headers: octets, body: bytes, expect: [202] })
      await send({ method: 'PUT', path: withDigest(locationOf(sent), digest), expect: [201] })
      return
    }
    case 'chunked':
      await putChunks(send, await start(send, uploads), bytes, 2 + random.below(4))
      return
    case 'mounted': {
      const path = `${uploads}?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`
      const asked = await send({ method: 'POST', path, expect: [201, 202] })
      if (asked.status === 202) await putWhole(send, locationOf(asked), bytes)
    }
  }
}

const octets = { 'content-type': 'application/octet-stream' }

async function start(send: Send, uploads: string): Promise<string> {
  return locationOf(await send({ method: 'POST', path: uploads, expect: [202] }))
}

async function putWhole(send: Send, session: string, bytes: Buffer): Promise<void> {
  await send({ method: 'PUT', path: withDigest(session, digestOf(bytes)), headers: octets, body: bytes, expect: [201] })
}

/** The last chunk travels with the closing PUT. */
async function putChunks(send: Send, session: string, bytes: Buffer, count: number): Promise<void> {
  const size = Math.max(1, Math.ceil(bytes.length / count))
  let location = session
  let offset = 0
  for (; offset + size < bytes.length; offset += size) {
    const body = bytes.subarray(offset, offset + size)
    const headers = { ...octets, 'content-range': `${offset}-${offset + size - 1}` }
    location = locationOf(await send({ method: 'PATCH', path: location, headers, body, expect: [202] }))
    const status = await send({ method: 'GET', path: location, expect: [204] })
    assert.equal(status.headers.get('range'), `0-${offset + size - 1}`, `after ${offset + size} bytes`)
  }
  const headers = { ...octets, 'content-range': `${offset}-${bytes.length - 1}` }
  const body = bytes.subarray(offset)
  await send({ method: 'PUT', path: withDigest(location, digestOf(bytes)), headers, body, expect: [201] })
}

/** An upload that comes to nothing: what one process knows of it the other knows at once, to the end. */
export async function cancelUpload(send: Send, repository: string, bytes: Buffer): Promise<void> {
  const session = await start(send, `/v2/${repository}/blobs/uploads/`)
  const half = Math.ceil(bytes.length / 2)
  const first = { ...octets, 'content-range': `0-${half - 1}` }
  const body = bytes.subarray(0, half)
  await send({ method: 'PATCH', path: session, headers: first, body, expect: [202] })
  const status = await send({ method: 'GET', path: session, expect: [204] })
  assert.equal(status.headers.get('range'), `0-${half - 1}`)
  // The bytes that are there already are refused, by whoever is asked.
  const refused = await send({ method: 'PATCH', path: session, headers: first, body, expect: [416] })
  assert.equal(refused.headers.get('range'), `0-${half - 1}`)
  await send({ method: 'DELETE', path: session, expect: [204] })
  const rest = { ...octets, 'content-range': `${half}-${bytes.length - 1}` }
  await send({ method: 'GET', path: session, expect: [404] })
  await send({ method: 'PATCH', path: session, headers: rest, body: bytes.subarray(half), expect: [404] })
  await send({ method: 'PUT', path: withDigest(session, digestOf(bytes)), expect: [404] })
  await send({ method: 'DELETE', path: session, expect: [404] })
  await send({ method: 'HEAD', path: `/v2/${repository}/blobs/${digestOf(bytes)}`, expect: [404] })
}
