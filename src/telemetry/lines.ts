/**
 * Lines of the log that are not those of requests: what each says, and its fields. The code that writes them is elsewhere; a test compares. See
 * `access-log.ts` for requests.
 */

/** What each field means, in whichever line it stands. */
export const lineFields = {
  address: 'where it listens',
  afterMs: 'how long after this the replacement is started, in ms',
  blobs: 'blobs whose bytes were removed',
  bytes: 'bytes of blobs that were read',
  cause: 'bug, killed, exited or refused, as in `berth_worker_ends_total`',
  code: 'the code of the error that was answered',
  data: 'where the data is, in words',
  delayMs: 'how long new requests are still answered, in ms',
  durationMs: 'how long it took, in ms',
  error: 'what was thrown, with its stack',
  failed: 'works that the store failed; the next run tries again',
  failure: 'what the store said of the first of them',
  first: 'the first findings, in words',
  found: 'how much was found, by kind',
  freedBytes: 'bytes that were freed',
  hints: 'hints that lead to nothing and were removed',
  leftovers: 'files of killed processes that were removed',
  limitMs: 'how long running requests may go on, in ms',
  manifests: 'manifests that were removed',
  marks: 'marks without a purpose that were removed',
  method: 'the method of the request',
  of: 'the process that it replaces',
  path: 'the path that was asked',
  port: 'the port it listens on',
  pulse: 'the address and the port of the pulse; nothing when it is off',
  pushes: 'abandoned pushes of manifests that were taken back',
  reason: 'why, in words',
  repositories: 'repositories that a rule covers',
  repository: 'the repository that was asked for',
  requestId: 'the request, as in its own line',
  route: 'the endpoint, as in the line of the request',
  stack: 'where it was thrown',
  tags: 'tags that were removed',
  unreadable: 'records that could not be read; the scrub says which',
  uploads: 'abandoned uploads that were ended',
  version: 'the version of Berth',
  waiting: 'what is left for a later run',
  worker: 'the process of the worker',
  workers: 'how many processes answer requests',
} as const

export type LineField = keyof typeof lineFields

export interface LineDescription {
  /** What it means to whoever reads it. */
  readonly meaning: string
  readonly fields: readonly LineField[]
}

const nothingLost = 'The store failed; nothing is lost but time.'

/** Every message of the log but `request`. */
export const logMessages: Readonly<Record<string, LineDescription>> = {
  'Berth listens': {
    meaning: 'Requests are taken from now on; the fields say where, and where the data is.',
    fields: ['version', 'address', 'port', 'data', 'workers', 'pulse'],
  },
  'Berth has no users yet: whoever reaches this address may push, pull and delete': {
    meaning: 'It listens on more than this machine.',
    fields: ['address'],
  },
  'Berth stops: no new connections, running requests may end': {
    meaning: 'The first signal to stop came; they have `limitMs`.',
    fields: ['delayMs', 'limitMs'],
  },
  'requests that were still running were cut': {
    meaning: 'They took longer than `http.stopTimeout`, or a second signal came.',
    fields: [],
  },
  'a worker ended; it is replaced': {
    meaning: '`cause` and `reason` say why; requests that it answered are broken off.',
    fields: ['worker', 'cause', 'reason', 'afterMs'],
  },
  'a worker listens': { meaning: 'One of the first; `worker` is its process. At level `debug`.', fields: ['worker'] },
  'a worker took the place': { meaning: 'Its replacement listens.', fields: ['worker', 'of'] },
  'an error that nobody caught; this is a bug, please report it': {
    meaning: 'The process ends when its requests have, or soon, and is replaced.',
    fields: ['reason', 'stack'],
  },
  'Berth has stopped': { meaning: 'The last line.', fields: [] },
  'the store takes no writes now; reads go on': {
    meaning: 'At the start: the disk is full or read-only, `reason` says which.',
    fields: ['reason', 'error'],
  },
  'the store is not set up as it should be': {
    meaning: 'At the start: it can be used, but `reason` says what it costs and what to do.',
    fields: ['reason'],
  },
  'a request failed': {
    meaning: 'It was answered 5xx; `requestId` leads to its other line, `error` says why.',
    fields: ['requestId', 'route', 'method', 'repository', 'code', 'error'],
  },
  'an answer broke off': {
    meaning: 'The store failed within an answer that had begun; its connection was cut.',
    fields: ['requestId', 'route', 'error'],
  },
  'the pulse failed to answer': { meaning: 'A bug in `/healthz`, `/readyz` or `/metrics`.', fields: ['path', 'error'] },
  swept: {
    meaning: 'A sweep ended, with what it removed; `debug` when there was nothing.',
    fields: [
      'pushes',
      'uploads',
      'tags',
      'hints',
      'marks',
      'blobs',
      'freedBytes',
      'waiting',
      'unreadable',
      'failed',
      'failure',
      'leftovers',
      'durationMs',
    ],
  },
  'a sweep failed; the next one goes on': { meaning: nothingLost, fields: ['reason', 'durationMs'] },
  'retention rules applied': {
    meaning: 'A run of retention ended, with what it removed.',
    fields: ['repositories', 'tags', 'manifests', 'waiting', 'unreadable', 'failed', 'failure', 'durationMs'],
  },
  'a retention run failed; the next one goes on': { meaning: nothingLost, fields: ['reason', 'durationMs'] },
  'the sweeper ended; it is started again': {
    meaning: 'The process beside the server died, or was killed.',
    fields: ['reason', 'afterMs'],
  },
  'the sweeper hardly gets a processor; for six hours it takes a share of one': {
    meaning: 'Others kept every processor busy for a minute; what nobody needs would pile up.',
    fields: [],
  },
  'the sweeper runs again only when nothing else wants a processor': { meaning: 'Those hours are over.', fields: [] },
  'scrubbed: everything is as it should be': { meaning: 'A scrub ended.', fields: ['bytes', 'durationMs'] },
  'scrubbed: see berth scrub': {
    meaning: 'A scrub found something; [operations.md](operations.md) explains the kinds.',
    fields: ['found', 'first', 'bytes', 'durationMs'],
  },
  'a scrub failed; it goes on later': {
    meaning: 'The store failed; it goes on from where it was.',
    fields: ['reason', 'durationMs'],
  },
}
