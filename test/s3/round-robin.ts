/** A balancer without any memory: every request goes to the next of some registries, whoever asks. */
import { createServer, request } from 'node:http'
import { once } from 'node:events'
import type { Registry } from '../clients/berth.ts'
import { freePort } from '../clients/port.ts'

export interface Balancer {
  /** `127.0.0.1:<port>`. */
  readonly address: string
  /** How many requests each has had. */
  readonly counts: () => readonly number[]
  close(): Promise<void>
}

export async function startRoundRobin(registries: readonly Registry[]): Promise<Balancer> {
  const counts = registries.map(() => 0)
  let turn = 0
  const server = createServer((incoming, outgoing) => {
    const index = turn++ % registries.length
    counts[index] = (counts[index] ?? 0) + 1
    const { method = 'GET', url: path = '', headers } = incoming
    const onward = request(`${registries[index]?.url}${path}`, { method, headers, agent: false })
    onward.once('error', () => outgoing.destroy())
    onward.once('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.rawHeaders)
      answer.once('error', () => outgoing.destroy())
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  })
  const port = await freePort()
  await once(server.listen(port, '127.0.0.1'), 'listening')
  return {
    address: `127.0.0.1:${port}`,
    counts: () => counts,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
