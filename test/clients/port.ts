/** Ports for servers of tests. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * A port that nobody listens on. It lies below those that the system gives to outgoing connections (32,768 and up on Linux): one of them
 * could be taken before the server under test listens, by any client that runs at the same time.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(10_000, 32_768)
  return (await canListen(port)) ? port : freePort()
}

function canListen(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
