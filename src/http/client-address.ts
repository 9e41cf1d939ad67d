/** Who sent a request: the other end of its connection, or the client that a trusted proxy names. */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { createNetworkCheck, type Network } from './networks.ts'

/** An IPv4 address as a socket for both families has it (RFC 4291 §2.5.5.2) is the IPv4 address. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address
}

/** One entry of `X-Forwarded-For`: an address, which some proxies write with the port. */
function parseEntry(entry: string): string | undefined {
  const text = entry.trim()
  const [, bracketed, withPort] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/.exec(text) ?? []
  const address = bracketed ?? withPort ?? text
  return isIP(address) === 0 ? undefined : plainAddress(address)
}

/**
 * Makes the function that says who sent a request. Each proxy adds at the right the address it saw; so from the right, the first that is not a trusted
 * proxy itself is the client. What stands left of it anybody can have written.
 */
export function createClientAddress(proxies: readonly Network[]): (request: IncomingMessage) => string | undefined {
  if (proxies.length === 0) return ({ socket }) => socket.remoteAddress && plainAddress(socket.remoteAddress)
  const isTrusted = createNetworkCheck(proxies)
  return ({ socket, headers }) => {
    let client = socket.remoteAddress && plainAddress(socket.remoteAddress)
    const forwarded = headers['x-forwarded-for']
    const entries = typeof forwarded === 'string' ? forwarded.split(',') : []
    while (client !== undefined && isTrusted(client)) {
      const before = parseEntry(entries.pop() ?? '')
      if (before === undefined) break
      client = before
    }
    return client
  }
}
