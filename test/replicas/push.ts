/** A client that pushes and pulls images as real ones do: what got no answer, or 503, it does again at the next server. */
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../clients/layout.ts'
import type { Content, Image } from '../soak/model.ts'
import { type Answer, locationOf, type Request, withDigest } from './requests.ts'

export interface Troubles {
  /** Requests without an answer, or with a part of one. */
  broken: number
  /** Answers 503. */
  unavailable: number
  /** Pushes and pulls that were begun again. */
  again: number
  /** The longest request, in ms. */
  longestMs: number
}

export function createTroubles(): Troubles {
  return { broken: 0, unavailable: 0, again: 0, longestMs: 0 }
}

/** Nothing was acknowledged, and another try may help. */
class TryAgainError extends Error {}

export interface Client {
  /** Resolves when the manifest was acknowledged. */
  push(image: Image, tag: string): Promise<void>
  /** Throws when something of it is not there, or not what was pushed. */
  pull(image: Image, tag: string): Promise<void>
}

/** Longer than anybody is away. */
const patienceMs = 120_000
const octets = { 'content-type': 'application/octet-stream' }

/** `urls` are asked in turn: a try of one at one of them, the next at the next. */
export function createPatientClient(urls: () => readonly string[], troubles: Troubles): Client {
  let turn = 0

  async function send(url: string, { method, path, headers = {}, body, expect }: Request): Promise<Answer> {
    const beganAt = performance.now()
    const answer = await fetch(url + path, { method, headers, ...(body && { body: new Uint8Array(body) }) })
      .then(async (got) => ({
        status: got.status,
        headers: got.headers,
        body: Buffer.from(await got.arrayBuffer()),
      }))
      .catch((error: unknown) => String(error))
      .finally(() => (troubles.longestMs = Math.max(troubles.longestMs, performance.now() - beganAt)))
    if (typeof answer === 'string') {
      troubles.broken++
      throw new TryAgainError(`${method} ${path}: ${answer}`)
    }
    const { status } = answer
    if (expect.includes(status)) return answer
    const said = `${method} ${path}: ${status} ${answer.body.toString().slice(0, 500)}`
    if (status !== 503) throw new Error(said)
    troubles.unavailable++
    if (answer.headers.get('retry-after') === null) throw new Error(`${said} without Retry-After`)
    throw new TryAgainError(said)
  }

  async function untilDone(what: (url: string) => Promise<void>): Promise<void> {
    const deadline = performance.now() + patienceMs
    for (;;) {
      const all = urls()
      try {
        return await what(all[turn++ % all.length] ?? '')
      } catch (error) {
        if (!(error instanceof TryAgainError) || performance.now() > deadline) throw error
        troubles.again++
        await sleep(100)
      }
    }
  }

  async function pushBlob(url: string, repository: string, { digest, bytes }: Content): Promise<void> {
    const uploads = `/v2/${repository}/blobs/uploads/`
    const there = await send(url, {
      method: 'HEAD',
      path: `/v2/${repository}/blobs/${digest}`,
      expect: [200, 404],
    })
    if (there.status === 200) return
    const session = locationOf(await send(url, { method: 'POST', path: uploads, expect: [202] }))
    const sent = await send(url, { method: 'PATCH', path: session, headers: octets, body: bytes, expect: [202] })
    await send(url, { method: 'PUT', path: withDigest(locationOf(sent), digest), expect: [201] })
  }

  async function read(url: string, path: string, digest: string): Promise<void> {
    const { body } = await send(url, { method: 'GET', path, expect: [200] })
    if (digestOf(body) !== digest) throw new Error(`GET ${path}: ${body.length} other bytes`)
  }

  return {
    push: ({ repository, mediaType, bytes, blobs }, tag) =>
      untilDone(async (url) => {
        // None goes on in the background when another has failed.
        const pushed = await Promise.allSettled(blobs.map((blob) => pushBlob(url, repository, blob)))
        for (const one of pushed) if (one.status === 'rejected') throw one.reason
        const path = `/v2/${repository}/manifests/${tag}`
        await send(url, { method: 'PUT', path, headers: { 'content-type': mediaType }, body: bytes, expect: [201] })
      }),
    pull: ({ repository, digest, blobs }, tag) =>
      untilDone(async (url) => {
        await read(url, `/v2/${repository}/manifests/${tag}`, digest)
        for (const blob of blobs) await read(url, `/v2/${repository}/blobs/${blob.digest}`, blob.digest)
      }),
  }
}
