/**
 * Sends a client to the URL of the store where it gets the bytes itself: which requests may be sent there, and the answer. It must not know what the
 * bytes are. The URL carries a signature, which is as good as the bytes: nothing but the answer may have it.
 */
import type { HttpContext } from './context.ts'
import { sendEmpty } from './json.ts'
import { createNetworkCheck, type Network } from './networks.ts'

/** Makes the function that says whether a client may be sent to the store: one of these networks, or any when there are none. */
export function createRedirectCheck(networks: readonly Network[]): (address: string | undefined) => boolean {
  if (networks.length === 0) return () => true
  const isIn = createNetworkCheck(networks)
  return (address) => address !== undefined && isIn(address)
}

/** Whether every store reads a `Range` as we do: there is none, or one range without anything unusual. */
export function isPlainRange(range: string | undefined): boolean {
  return range === undefined || /^bytes=(?:\d+-\d*|-\d+)$/.test(range)
}

/** The host name of an URL in the one way to write it: without a port and the dot of the root. */
function hostNameOf(url: string): string | undefined {
  return URL.parse(url)?.hostname.replace(/\.$/, '')
}

/**
 * Whether a client that called us by `host` (the `Host` header) sends its credentials to us only, and not to `url`, too, where a second one beside the
 * signature is refused and which they are not for. Clients compare names without ports, and Go's also takes a name below ours for ours.
 */
export function dropsCredentials(host: string | undefined, url: string): boolean {
  const ours = hostNameOf(`http://${host ?? ''}`)
  const theirs = hostNameOf(url)
  if (ours === undefined || theirs === undefined) return false
  return theirs !== ours && !theirs.endsWith(`.${ours}`)
}

/** Answers 307: the client repeats its request there, with its `Range`. RFC 9110 §15.4.8. */
export function sendRedirect(ctx: HttpContext, url: string): void {
  ctx.set('Location', url)
  // RFC 9111 §5.2.2.5: the URL expires, and is for this client.
  ctx.set('Cache-Control', 'no-store')
  sendEmpty(ctx, 307)
}
