/** Ports for servers of tests. */
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

/** Below those that the system gives to outgoing connections (32,768 and up on Linux), which any client could take before the server listens. */
const chooseAny = (): number => randomInt(10_000, 32_768)

/** There are thousands: where none of so many may be had, something else is wrong. */
const maxTries = 100

/**
 * A port that nobody listens on, and that nobody else gets here until this process ends: tests of other processes start their servers at the same time.
 * `choose` is called until it gives one.
 */
export async function freePort(choose = chooseAny): Promise<number> {
  for (let tries = 0; tries < maxTries; tries++) {
    const port = choose()
    if ((await reserve(port)) && (await canListen(port))) return port
  }
  throw new Error(`none of ${maxTries} ports of 127.0.0.1 could be had, by TCP and UDP`)
}

/** Takes the port of the same number of UDP, which none of our servers wants. */
function reserve(port: number): Promise<boolean> {
  const holder = createSocket('udp4').unref()
  return new Promise((resolve) => {
    holder.once('error', () => holder.close(() => resolve(false)))
    holder.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(true))
  })
}

function canListen(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
