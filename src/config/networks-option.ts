/** A kind of option that is a list of IP addresses and networks: a YAML list in the file, the same or words with commas between them in a variable. */
import { isIP } from 'node:net'
import * as v from 'valibot'
import { readList } from './list-option.ts'
import type { OptionInfo } from './option.ts'
import { describeWritten } from './setting.ts'

/** A network, or one address: then all its bits count. */
export interface Network {
  readonly address: string
  /** How many leading bits of the address count. */
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** The most networks of a list: each may be compared with every request. */
const maxNetworks = 100

function parseNetwork(written: unknown): Network | undefined {
  if (typeof written !== 'string') return undefined
  const [, address = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(written) ?? []
  const version = isIP(address)
  if (version === 0 || address.includes('%')) return undefined
  const bits = version === 4 ? 32 : 128
  const prefix = digits === undefined ? bits : Number(digits)
  return prefix > bits ? undefined : { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' }
}

/** What is written as a list, whole or in one text; `undefined` when it is neither. */
function split(written: unknown): readonly unknown[] | undefined {
  const list = readList(written)
  if (Array.isArray(list)) return list
  return typeof list === 'string' ? list.split(/[\s,]+/).filter((word) => word !== '') : undefined
}

/** A list of addresses and networks; none by default. */
export function networks(words: { readonly reason: string }) {
  const info: OptionInfo = {
    kind: 'list',
    expected: `at most ${maxNetworks} IP addresses or networks, like 192.0.2.7, 10.0.0.0/8 or fd00::/8`,
    default: [],
    reason: words.reason,
    secret: false,
    findProblems(written) {
      const list = split(written)
      if (list === undefined || list.length > maxNetworks) {
        return [{ at: '', message: `found ${describeWritten(written, info)}, expected ${info.expected}` }]
      }
      return list.flatMap((each, n) => {
        if (parseNetwork(each) !== undefined) return []
        const message = `found ${describeWritten(each, info)}, expected an IP address or a network, like 10.0.0.0/8`
        return [{ at: `[${n}]`, message }]
      })
    },
  }
  const schema = v.pipe(
    v.unknown(),
    v.rawTransform<unknown, readonly Network[]>(({ dataset, addIssue, NEVER }) => {
      const list = split(dataset.value)?.map(parseNetwork)
      if (list !== undefined && list.length <= maxNetworks) {
        const parsed = list.filter((each) => each !== undefined)
        if (parsed.length === list.length) return parsed
      }
      addIssue({ message: info.expected })
      return NEVER
    }),
  )
  return Object.assign(schema, { option: info })
}
