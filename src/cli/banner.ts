/** What a person sees who starts Berth on a terminal: where it listens, where data goes, and what to type for a first push. */
import { formatHost } from './listen.ts'

export interface Started {
  readonly version: string
  readonly address: string
  readonly port: number
  /** Where data goes, in words. */
  readonly data: string
  /** How many processes answer requests. */
  readonly workers: number
  /** Where health and metrics are; undefined when they are switched off. */
  readonly pulse: { readonly address: string; readonly port: number } | undefined
}

const anyAddress: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }

/** `127.0.0.1:5000`: what stands in front of a repository name on this machine. */
export function reachableAt(address: string, port: number): string {
  return `${anyAddress[address] ?? formatHost(address)}:${port}`
}

/** The block, with an empty line around it. */
export function renderBanner({ version, address, port, data, pulse }: Started): string {
  const registry = reachableAt(address, port)
  const lines = [
    `Berth ${version}`,
    '',
    `  registry  http://${formatHost(address)}:${port}`,
    `  data      ${data}`,
    `  pulse     ${pulse === undefined ? 'off' : `http://${reachableAt(pulse.address, pulse.port)}: /healthz /readyz /metrics`}`,
    '',
    '  A first push:',
    '',
    '    docker pull alpine',
    `    docker tag alpine ${registry}/alpine`,
    `    docker push ${registry}/alpine`,
    '',
    '  Stop with Ctrl-C.',
  ]
  return `\n${lines.join('\n')}\n\n`
}
