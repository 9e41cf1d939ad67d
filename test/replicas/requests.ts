/** Requests to several Berths on one store, each to a process that the caller chooses anew. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Request {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** What may come back; everything else fails the test. */
  readonly expect: readonly number[]
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

/** Sends a request to the next process. */
export type Send = (request: Request) => Promise<Answer>

/** How often a 503 is taken as "again, please": it acknowledges nothing, so nothing is lost by it. */
const maxTries = 5

/** `next` names the process of the next request; `onRetry` hears of every 503. */
export function createSend(next: () => string, onRetry: () => void): Send {
  const send = async (request: Request, tries: number): Promise<Answer> => {
    const { method, path, headers = {}, body, expect } = request
    const url = next() + path
    const response = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    })
    const answer = {
      status: response.status,
      headers: response.headers,
      body: Buffer.from(await response.arrayBuffer()),
    }
    if (answer.status === 503 && tries < maxTries) {
      onRetry()
      await sleep(Number(answer.headers.get('retry-after') ?? 1) * 100)
      return send(request, tries + 1)
    }
    assert.ok(expect.includes(answer.status), `${method} ${url}: ${answer.status} ${answer.body.toString()}`)
    return answer
  }
  return (request) => send(request, 1)
}

/** The path of a `Location`, which may be absolute. */
export function locationOf(answer: Answer): string {
  const { pathname, search } = new URL(answer.headers.get('location') ?? '', 'http://any')
  return pathname + search
}

export function withDigest(location: string, digest: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`
}
