/** The options of the section `http`. */
import { address, duration, number, pathPrefix, section, size } from './option.ts'

export const http = section('The registry itself: where it listens and what it takes from a client.', {
  address: address({
    default: '127.0.0.1',
    reason: 'Only this machine: there are no users yet, so whoever reaches the address may push, pull and delete.',
  }),
  port: number({
    min: 0,
    max: 65_535,
    default: 5000,
    reason: 'The port registries have by custom; 0 takes any free one.',
  }),
  headersTimeoutMs: duration({
    min: '1s',
    max: '10m',
    default: '30s',
    reason: 'The longest a client may take to send the headers of a request.',
  }),
  bodyIdleTimeoutMs: duration({
    min: '1s',
    max: '1h',
    default: '60s',
    reason:
      'The longest pause within a request body, or of a client that reads an answer. What a PATCH brought before it is kept.',
  }),
  minRateBytes: size({
    min: '0B',
    max: '1GiB',
    default: '1KiB',
    reason:
      'What a client sends or reads a second at least, over such a time: no line is so slow that 10 MiB take 3 hours. 0B: no limit.',
  }),
  keepAliveTimeoutMs: duration({
    min: '1s',
    max: '1h',
    default: '75s',
    reason: 'How long an idle connection stays open: longer than the 60 s of common proxies, so that they close first.',
  }),
  lingerMs: duration({
    min: '0s',
    max: '1m',
    default: '5s',
    reason: 'How long the rest of a request is read and dropped after a refusal, so that the client sees the answer.',
  }),
  lingerBytes: size({
    min: '0B',
    max: '1GiB',
    default: '64MiB',
    reason: 'How much of such a request is read and dropped before the connection is closed.',
  }),
  stopTimeoutMs: duration({
    min: '0s',
    max: '1h',
    default: '25s',
    reason:
      'How long running requests may go on once no new ones are taken: less than the 30 s from SIGTERM to SIGKILL in Kubernetes.',
  }),
  stopDelayMs: duration({
    min: '0s',
    max: '10m',
    default: '0s',
    reason:
      'How long after SIGTERM new requests are still answered while `/readyz` says no: 5s where a balancer is slow to notice.',
  }),
  maxHeaderBytes: size({
    min: '16KiB',
    max: '1MiB',
    default: '64KiB',
    reason: 'Request line and headers together: 1,024 ranges take 25 KiB, 100 tags in one URL 14 KiB, a token 8 KiB.',
  }),
  maxManifestBytes: size({
    min: '4MiB',
    max: '8MiB',
    default: '4MiB',
    reason: 'A manifest is held in memory whole; the specification asks for at least 4 MiB.',
  }),
  maxTagsPerPush: number({
    min: 10,
    max: 1000,
    default: 100,
    reason: 'How many `?tag=` one manifest push may carry; the specification asks for at least 10.',
  }),
  maxRanges: number({
    min: 1,
    max: 10_000,
    default: 1024,
    reason: 'How many ranges one GET may ask: zstd:chunked clients ask for 1,024 at once and give up below 64.',
  }),
  accelPrefix: pathPrefix({
    reason:
      'Where an nginx in front finds the folder: blobs go out as `X-Accel-Redirect` to it. Empty: Berth sends them.',
  }),
  pageSize: number({
    min: 1,
    max: 100_000,
    default: 1000,
    reason: 'Tags or repositories in one answer when the client names no `n`: many scripts read only the first page.',
  }),
  maxPageSize: number({
    min: 1,
    max: 100_000,
    default: 10_000,
    reason: 'The most tags or repositories in one answer, whatever `n` says; the rest is behind the `Link`.',
  }),
  referrersPageSize: number({
    min: 1,
    max: 10_000,
    default: 1000,
    reason: 'The most referrers in one answer: some clients that look for signatures read only the first page.',
  }),
  referrersPageBytes: size({
    min: '64KiB',
    max: '64MiB',
    default: '4MiB',
    reason: 'The most bytes of referrers in one answer: clients stop reading an index at 4 MiB.',
  }),
})
