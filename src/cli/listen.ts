/** Starts and stops listening servers: what can go wrong is one sentence, and stopping never takes longer than it may. */
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { App } from '../app.ts'
import { CommandError } from './command.ts'

export interface ListenAt {
  readonly address: string
  /** 0 takes any free port. */
  readonly port: number
  /** The section of the configuration that says so, for the message when it does not work: `http`. */
  readonly section: string
}

/** Starts to listen and returns the port; throws CommandError when that is impossible. */
export async function listen(server: Server, { address, port, section }: ListenAt): Promise<number> {
  try {
    server.listen(port, address)
    await once(server, 'listening')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    throw new CommandError('cannotStart', describeFailure(code, { address, port, section }, error), { cause: error })
  }
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : port
}

function describeFailure(code: unknown, { address, port, section }: ListenAt, error: unknown): string {
  const variable = `BERTH_${section.toUpperCase()}`
  switch (code) {
    case 'EADDRINUSE':
      return `another program listens on ${formatHost(address)}:${port}: stop it, or choose a port with ${variable}_PORT or ${section}.port`
    case 'EACCES':
      return `this user may not listen on port ${port}: choose one above 1023 with ${variable}_PORT or ${section}.port`
    case 'EADDRNOTAVAIL':
      return `${address} is no address of this machine: choose one with ${variable}_ADDRESS or ${section}.address`
    default:
      return `cannot listen on ${formatHost(address)}:${port}: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** An address as a URL writes it: IPv6 in brackets. */
export function formatHost(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

/** Whether all requests ended by themselves. */
export type Drained = 'finished' | 'cut'

/** How long a client that has connected may take to begin its first request once no new ones are wanted, in ms. */
const silentMs = 1000

/**
 * Stops: no new connections, idle ones closed, running requests may go on for `limitMs` or until `hurry` is aborted, then their
 * connections are cut. Resolves with whether all of them ended by themselves.
 */
export async function stopListening(
  app: App,
  { limitMs, hurry }: { readonly limitMs: number; readonly hurry: AbortSignal },
): Promise<Drained> {
  let outcome: Drained = 'finished'
  const cut = (): void => {
    if (app.hasConnections()) outcome = 'cut'
    app.closeAllConnections()
  }
  const closed = once(app, 'close')
  app.close()
  // A connection that was busy at the close may turn idle later and would be kept for the next request.
  const idle = setInterval(() => app.closeIdleConnections(), 50)
  // Node takes one that was never used for a request that is about to come.
  const silent = setTimeout(() => app.closeSilentConnections(), silentMs)
  const limit = setTimeout(cut, limitMs)
  hurry.addEventListener('abort', cut)
  if (hurry.aborted) cut()
  try {
    await closed
    return outcome
  } finally {
    clearInterval(idle)
    clearTimeout(silent)
    clearTimeout(limit)
    hurry.removeEventListener('abort', cut)
  }
}
