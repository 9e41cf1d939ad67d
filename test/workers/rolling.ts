/**
 * Clients of two servers on one folder that keep their connections, and try again as HTTP clients do: on another connection when one was closed before
 * any byte of the answer, on the other server when one takes no connections. What still fails is a failure.
 */
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { digestOf } from '../clients/layout.ts'
import type { Random } from '../replicas/random.ts'

/** Go's client tries again only where the connection had served before; crane, docker and balancers also where it was new. */
export type Tries = 'used connections' | 'every connection'

export interface Load {
  readonly counts: { requests: number; again: number; refused: number }
  /** What failed, in words. */
  readonly failures: readonly string[]
  readonly stop: () => Promise<void>
}

interface Ask {
  readonly method: string
  readonly path: string
  readonly expect: number
  readonly body?: Buffer
}

class Broken extends Error {
  readonly isBeforeAnswer: boolean
  readonly wasUsed: boolean
  readonly code: unknown

  constructor(cause: unknown, isBeforeAnswer: boolean, wasUsed: boolean) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.isBeforeAnswer = isBeforeAnswer
    this.wasUsed = wasUsed
    this.code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  }
}

async function send(agent: Agent, port: number, { method, path, expect, body }: Ask): Promise<void> {
  const headers = body === undefined ? {} : { 'Content-Length': body.length }
  const asked = request({ agent, host: '127.0.0.1', port, method, path, headers })
  let response: IncomingMessage | undefined
  try {
    asked.end(body)
    const [answer]: IncomingMessage[] = await once(asked, 'response')
    response = answer
    answer?.resume()
    if (answer !== undefined && !answer.complete) await once(answer, 'end')
  } catch (error) {
    throw new Broken(error, response === undefined, asked.reusedSocket)
  }
  if (response?.statusCode !== expect) throw new Error(`${method} ${path}: ${response?.statusCode}`)
}

/** Starts clients that ask until they are stopped; `ports` are those of the servers that say they are ready, asked anew for each request. */
export function startLoad(
  clients: number,
  ports: () => readonly number[],
  tries: Tries,
  random: Random,
  asks: readonly Ask[],
): Load {
  const counts = { requests: 0, again: 0, refused: 0 }
  const failures: string[] = []
  const stopped = new AbortController()

  function choose(home: number, avoid: number | undefined): number {
    const ready = ports()
    const others = ready.filter((port) => port !== avoid)
    return others[home % others.length] ?? ready[0] ?? 0
  }

  async function sendUntilAnswered(agent: Agent, home: number, ask: Ask): Promise<void> {
    let avoid: number | undefined
    for (let left = 5; ; left--) {
      const port = choose(home, avoid)
      try {
        return await send(agent, port, ask)
      } catch (error) {
        if (!(error instanceof Broken) || left === 0) throw error
        const isRefused = error.code === 'ECONNREFUSED'
        if (!isRefused && !(error.isBeforeAnswer && (error.wasUsed || tries === 'every connection'))) throw error
        if (isRefused) {
          counts.refused++
          avoid = port
        } else counts.again++
      }
    }
  }

  async function run(home: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!stopped.signal.aborted) {
      const fresh = random.bytes(2000)
      const push = {
        method: 'POST',
        path: `/v2/a/b/blobs/uploads/?digest=${digestOf(fresh)}`,
        expect: 201,
        body: fresh,
      }
      const ask = random.below(4) === 0 ? push : random.pick(asks)
      counts.requests++
      await sendUntilAnswered(agent, home, ask).catch((error: unknown) => failures.push(String(error)))
    }
    agent.destroy()
  }

  const all = Promise.all(Array.from({ length: clients }, (_, home) => run(home)))
  return {
    counts,
    failures,
    stop: async () => {
      stopped.abort()
      await all
    },
  }
}
