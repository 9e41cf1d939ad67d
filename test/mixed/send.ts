/** One request of a client over kept connections: what it must be answered is checked, and its bytes are counted, never held. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type Agent, type IncomingMessage, request } from 'node:http'

export interface Ask {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly expect: readonly number[]
  /** What the body of the answer must hash to. */
  readonly digest?: string
  /** Leaves after so many bytes of the answer. */
  readonly leaveAfterBytes?: number
}

export interface Answer {
  readonly status: number
  readonly location: string
}

/** Where a client sends to, and what it tells of each answer. */
export interface Line {
  readonly agent: Agent
  readonly url: string
  readonly onAnswer: (status: number, bytes: number) => void
}

async function readBody(
  response: IncomingMessage,
  leaveAfterBytes: number,
): Promise<{ bytes: number; digest: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of response) {
    hash.update(chunk)
    bytes += chunk.length
    if (bytes > leaveAfterBytes) break
  }
  return { bytes, digest: `sha256:${hash.digest('hex')}` }
}

/** Throws when the answer is not as expected. A connection that is closed while it is idle is used by nobody: no request is sent again. */
export async function send({ agent, url, onAnswer }: Line, ask: Ask): Promise<Answer> {
  const { method, path, body, expect, digest, leaveAfterBytes = Infinity } = ask
  const headers = { ...ask.headers, ...(body !== undefined && { 'Content-Length': String(body.length) }) }
  const outgoing = request(new URL(path, url), { agent, method, headers }).end(body)
  const [response]: IncomingMessage[] = await once(outgoing, 'response')
  if (response === undefined) throw new Error('no response')
  const { statusCode: status = 0 } = response
  const read = await readBody(response, leaveAfterBytes)
  onAnswer(status, read.bytes + (body?.length ?? 0))
  if (!expect.includes(status)) throw new Error(`${method} ${path}: ${status}`)
  if (digest !== undefined && leaveAfterBytes === Infinity && read.digest !== digest)
    throw new Error(`${method} ${path}: other bytes, ${read.bytes} of them`)
  return { status, location: response.headers.location ?? '' }
}

/** Sends the beginning of a body and leaves: nobody is answered. */
export async function breakOff({ agent, url }: Line, method: string, path: string, body: Uint8Array): Promise<void> {
  const outgoing = request(new URL(path, url), { agent, method, headers: { 'Content-Length': String(body.length) } })
  outgoing.on('error', () => undefined)
  await new Promise((resolve) => {
    outgoing.write(body.subarray(0, body.length / 2), resolve)
  })
  outgoing.destroy()
}
