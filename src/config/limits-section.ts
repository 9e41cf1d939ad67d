/** The options of the section `limits`: how much of everything may go on at once. */
import { networks } from './networks-option.ts'
import { number, section, size } from './option.ts'

export const limits = section(
  'How much may go on at once, in each process that answers requests; what is beyond is refused and may try again.',
  {
    maxConnections: number({
      min: 10,
      max: 1_000_000,
      default: 4096,
      reason: 'Connections, idle or busy; the next gets 503. Each takes an open file and some 30 KiB.',
    }),
    maxUploads: number({
      min: 1,
      max: 100_000,
      default: 256,
      reason:
        'Request bodies that arrive at once; the next gets 429. Each takes an open file and its share of the buffers.',
    }),
    manifestBytes: size({
      min: '8MiB',
      max: '1GiB',
      default: '64MiB',
      reason: 'Manifests that arrive at once are in memory whole; beyond this the next gets 429. Most are a few KiB.',
    }),
    requestsPerSecond: number({
      min: 0,
      max: 1_000_000,
      default: 0,
      reason:
        'Requests of one client address (of IPv6 a /64), over time; beyond they get 429. 0: no limit, as many share an address.',
    }),
    requestBurst: number({
      min: 1,
      max: 1_000_000,
      default: 500,
      reason: 'How many of them may come at once after a pause: a push or pull of a large image sends a few hundred.',
    }),
    maxAddresses: number({
      min: 100,
      max: 10_000_000,
      default: 100_000,
      reason:
        'Addresses that are remembered for that, some 150 bytes each; the one that was away longest is forgotten.',
    }),
    trustedProxies: networks({
      reason:
        'Proxies in front whose `X-Forwarded-For` says who the client is, for the limit and the log; from others it is ignored.',
    }),
  },
)
