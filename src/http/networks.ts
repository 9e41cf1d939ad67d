/** Networks that the operator named, and whether an address lies in one of them. */
import { BlockList, isIP } from 'node:net'

export interface Network {
  readonly address: string
  /** How many leading bits of the address count. */
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** Makes the function that says whether an IP address lies in one of the networks. */
export function createNetworkCheck(networks: readonly Network[]): (address: string) => boolean {
  const list = new BlockList()
  for (const { address, prefix, family } of networks) list.addSubnet(address, prefix, family)
  return (address) => list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
}
