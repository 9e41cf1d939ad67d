/** A proxy in front of a registry that writes down what a client asks, and can break off one blob halfway through. */
import { createServer, request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { freePort } from './port.ts'
import type { Registry } from './berth.ts'

export interface Exchange {
  readonly method: string
  readonly path: string
  readonly range: string | undefined
  readonly contentRange: string | undefined
  readonly status: number
  readonly accelRedirect: string | undefined
}

export interface Proxy {
  readonly address: string
  readonly url: string
  /** Forgets what was asked so far. */
  readonly clear: () => void
  /** What was asked and answered since the last `clear`, in the order of the answers. */
  readonly exchanges: () => readonly Exchange[]
  /** Breaks the connection in the middle of the next answer to a blob GET that is longer than this. */
  readonly cutNextBlob: (longerThanBytes: number) => void
  /** Runs before the next answer is passed on. */
  readonly beforeNextAnswer: (run: (answer: IncomingMessage) => Promise<void>) => void
  readonly stop: () => Promise<void>
}

export async function startProxy(registry: Registry): Promise<Proxy> {
  let exchanges: Exchange[] = []
  let cutAbove = Infinity
  const nothing = async (): Promise<void> => undefined
  let before: (answer: IncomingMessage) => Promise<void> = nothing
  const server = createServer((incoming, outgoing) => {
    const { method = '', url: path = '', headers } = incoming
    const onward = request(registry.url + path, { method, headers, agent: false })
    onward.once('error', () => outgoing.destroy())
    onward.once('response', (answer) => {
      const range = headers.range
      const contentRange = headers['content-range']
      const redirect = answer.headers['x-accel-redirect']
      const accelRedirect = Array.isArray(redirect) ? redirect.join() : redirect
      exchanges.push({ method, path, range, contentRange, status: answer.statusCode ?? 0, accelRedirect })
      const cut = method === 'GET' && path.includes('/blobs/') && Number(answer.headers['content-length']) > cutAbove
      if (cut) cutAbove = Infinity
      const run = before
      before = nothing
      run(answer).then(
        () => forward(answer, outgoing, cut),
        () => outgoing.destroy(),
      )
    })
    incoming.pipe(onward)
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
    clear: () => (exchanges = []),
    exchanges: () => exchanges,
    cutNextBlob: (longerThanBytes) => (cutAbove = longerThanBytes),
    beforeNextAnswer: (run) => (before = run),
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function forward(answer: IncomingMessage, outgoing: ServerResponse, cut: boolean): void {
  outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
  const half = Number(answer.headers['content-length']) / 2
  let sent = 0
  answer.on('data', (chunk: Buffer) => {
    sent += chunk.length
    outgoing.write(chunk)
    if (cut && sent > half) {
      answer.destroy()
      outgoing.destroy()
    }
  })
  answer.once('end', () => outgoing.end())
  answer.once('error', () => outgoing.destroy())
}
