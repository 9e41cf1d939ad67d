/** Requests to servers that may die at any moment: an answer that did not come says nothing about what has happened. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../replicas/random.ts'

export interface Request {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
  /** When the request was sent that this answers, in monotonic ms. */
  readonly beganAt: number
  /** How often the request was sent; more than once, an earlier one may have had its effect. */
  readonly tries: number
}

export interface Ask {
  /** Sends once, to any server; `undefined` when no answer came. */
  once(request: Request): Promise<Answer | undefined>
  /** Sends until somebody answers something else than "try again" (503). Throws when that is not in `expect`. */
  again(request: Request, expect: readonly number[]): Promise<Answer>
}

export interface Troubles {
  /** Requests without an answer. */
  unanswered: number
  /** Answers 503. */
  busy: number
}

/** Longer than any server is away: paused ones go on after seconds. */
const patienceMs = 120_000

export function createAsk(urls: readonly string[], random: Random, troubles: Troubles): Ask {
  async function once({ method, path, headers = {}, body }: Request, tries = 1): Promise<Answer | undefined> {
    const beganAt = performance.now()
    try {
      const init = { method, headers, ...(body !== undefined && { body: new Uint8Array(body) }) }
      const response = await fetch(random.pick(urls) + path, init)
      const { status } = response
      if (status === 503) troubles.busy++
      return { status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()), beganAt, tries }
    } catch {
      troubles.unanswered++
      return undefined
    }
  }

  async function again(request: Request, expect: readonly number[]): Promise<Answer> {
    const deadline = performance.now() + patienceMs
    for (let tries = 1; ; tries++) {
      const answer = await once(request, tries)
      if (answer !== undefined && answer.status !== 503) {
        if (expect.includes(answer.status)) return answer
        throw new Error(`${request.method} ${request.path}: ${answer.status} ${answer.body.toString().slice(0, 500)}`)
      }
      if (performance.now() > deadline) {
        const last = answer === undefined ? 'no answer' : `${answer.status} ${answer.body.toString().slice(0, 500)}`
        throw new Error(`${request.method} ${request.path}: nobody of ${urls.join(', ')} does it: ${last}`)
      }
      await sleep(50 + random.below(100))
    }
  }

  return { once: (request) => once(request), again }
}
