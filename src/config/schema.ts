/**
 * Every option once: type, unit, limits, default and the reason for it. The type `Config`, the loader, `docs/configuration.md` and the samples in
 * `config/` come from these rows. Rows carry the code's name with its unit; in the file the `Ms` of a duration is left out, because
 * there the value says its unit: `bodyIdleTimeoutMs` is written `bodyIdleTimeout: 60s`.
 */
import type * as v from 'valibot'
import { http } from './http-section.ts'
import { limits } from './limits-section.ts'
import { address, choice, duration, number, onOff, type Option, type Section, section, size, text } from './option.ts'
import { immutableTags, retention } from './retention-section.ts'
import { s3 } from './s3-section.ts'
import { scrub } from './scrub-section.ts'
import { workers } from './workers-section.ts'

const pulse = section('Health and metrics, on a listener of their own that clients of the registry need not reach.', {
  enabled: onOff({ default: true, reason: 'Whether `/healthz`, `/readyz` and `/metrics` are served.' }),
  address: address({
    default: '127.0.0.1',
    reason: 'Only this machine; a probe or a scraper elsewhere needs 0.0.0.0.',
  }),
  port: number({
    min: 0,
    max: 65_535,
    default: 5001,
    reason: 'The port after that of the registry; 0 takes any free one.',
  }),
  readyTimeoutMs: duration({
    min: '100ms',
    max: '1m',
    default: '2s',
    reason: 'How long `/readyz` waits for the store before it says no: less than a usual probe waits.',
  }),
})

const log = section('The log: one line per event on the standard output.', {
  level: choice({
    of: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    reason: 'The least severe lines that are written; `info` includes one line per request.',
  }),
  format: choice({
    of: ['auto', 'json', 'pretty'],
    default: 'auto',
    reason: '`json` for machines, `pretty` for people; `auto` is pretty on a terminal and json elsewhere.',
  }),
  sampleRequests: number({
    min: 0,
    max: 1_000_000,
    default: 1,
    reason:
      'One in so many requests that went well gets a line, 0: none; refused, failed and broken off ones always do.',
  }),
  flushIntervalMs: duration({
    min: '0ms',
    max: '10s',
    default: '100ms',
    reason: 'How long the line of a request waits for others to be written with it; other lines never wait.',
  }),
  bufferBytes: size({
    min: '1KiB',
    max: '1MiB',
    default: '4KiB',
    reason: 'How much of such lines is written at once: what a pipe takes whole, while other workers write to it, too.',
  }),
})

const storage = section('Where everything is kept.', {
  kind: choice({
    of: ['filesystem', 's3', 'memory'],
    default: 'filesystem',
    reason: 'A folder, or a bucket of S3; `memory` forgets everything when the process ends: for tests and trials.',
  }),
  filesystem: section('A folder, read when `storage.kind` is `filesystem`.', {
    root: text({
      default: './data',
      reason: 'The folder; a relative one starts where the process was started. It is made when it is not there.',
    }),
    mount: choice({
      of: ['local', 'network'],
      default: 'local',
      reason:
        '`network` for NFS and other disks that may hang: others may write it, it may lose power alone, so everything is synced.',
    }),
    ballastBytes: size({
      min: '0B',
      max: '1GiB',
      default: '16MiB',
      reason: 'A file that is given up when the disk is full, so that deleting always works.',
    }),
    bufferBytes: size({
      min: '4MiB',
      max: '4GiB',
      default: '32MiB',
      reason:
        'Memory for transfers, in each process: two buffers of 1 MiB for each while that fits, else of 256 KiB, at last of 64 KiB.',
    }),
  }),
  s3,
  memory: section('The memory of this process, used when `storage.kind` is `memory`.', {
    maxBytes: size({ min: '1MiB', max: '1TiB', default: '1GiB', reason: 'What it may hold before it answers "full".' }),
  }),
})

const registry = section('Times and limits of the write side; `docs/architecture.md` explains them.', {
  leaseMs: duration({
    min: '1s',
    max: '30d',
    default: '24h',
    reason: 'A blob that a client was told about stays for at least half of this, named by a manifest or not.',
  }),
  freshMarkMs: duration({
    min: '1s',
    max: '10m',
    default: '1m',
    reason: 'A deletion mark younger than this may still be withdrawn, so a request waits for its outcome.',
  }),
  markWaitMs: duration({
    min: '0s',
    max: '30s',
    default: '2s',
    reason: 'How long a request waits for a fresh mark before it takes the content for gone.',
  }),
  maxRunningHashes: number({
    min: 1,
    max: 1_000_000,
    default: 1000,
    reason:
      'Uploads whose running digest is remembered between two chunks; beyond, their bytes are read again at the end.',
  }),
  maxOpenUploads: number({
    min: 10,
    max: 1_000_000,
    default: 10_000,
    reason:
      'Upload sessions that one process keeps open; the next gets 429. Each is a file until it ends, or is idle too long.',
  }),
  maxBlobBytes: size({
    min: '1MiB',
    max: '1024TiB',
    default: '1TiB',
    reason: 'The largest blob: far above any image layer, and lower where one push must not fill the disk.',
  }),
  maxUploadChunks: number({
    min: 100,
    max: 50_000,
    default: 10_000,
    reason:
      'How many chunks one upload may have: every later request of it, and every read of the blob, goes through all.',
  }),
  maxManifestDepth: number({
    min: 16,
    max: 1000,
    default: 64,
    reason: 'How deep the JSON of a manifest may nest; real ones reach about 6.',
  }),
  maxManifestReferences: number({
    min: 1000,
    max: 50_000,
    default: 10_000,
    reason: 'How many blobs and manifests one manifest may name; each costs a look at the store.',
  }),
  maxParallelCalls: number({
    min: 1,
    max: 1000,
    default: 32,
    reason: 'Calls to the store that one request has under way at once, e.g. for the blobs a manifest names.',
  }),
  immutableTags,
})

const sweep = section('The sweep: frees what nothing needs any more, while clients push and pull.', {
  enabled: onOff({
    default: true,
    reason: 'Whether `serve` sweeps, and follows the retention rules; `berth gc` sweeps once by hand.',
  }),
  intervalMs: duration({
    min: '1s',
    max: '7d',
    default: '10m',
    reason: 'The pause between two sweeps; each works on what changed, so a short pause costs little.',
  }),
  garbageAgeMs: duration({
    min: '0s',
    max: '7d',
    default: '10m',
    reason: 'What lost its last use is left alone for so long: clients often delete and push again.',
  }),
  uploadIdleMs: duration({
    min: '1s',
    max: '30d',
    default: '24h',
    reason: 'An upload of which nothing arrived for so long is ended; longer than a person takes to repair a line.',
  }),
  pushIdleMs: duration({
    min: '1s',
    max: '30d',
    default: '1h',
    reason: 'A manifest push that takes so long belongs to a process that is gone; what it wrote is taken back.',
  }),
  copyWindowMs: duration({
    min: '1s',
    max: '1d',
    default: '10m',
    reason: 'After this time a copy within an S3 store has landed or failed; a folder moves files and needs no wait.',
  }),
  processorPercent: number({
    min: 1,
    max: 400,
    default: 80,
    reason:
      'What sweep, retention and scrub use at most of one processor; never above 90 unless they run only when it is idle.',
  }),
  batchSize: number({
    min: 1,
    max: 50_000,
    default: 20_000,
    reason:
      'How many keys of uploads and garbage are sorted by repository together: then few repositories are read for each group.',
  }),
})

/** The whole file. */
export const configSchema = section('Berth configuration', {
  http,
  workers,
  limits,
  pulse,
  log,
  storage,
  registry,
  sweep,
  retention,
  scrub,
})

type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T

/** All values: frozen, durations in milliseconds, sizes in bytes. */
export type Config = Frozen<v.InferOutput<typeof configSchema>>

/** One option with where it is found. */
export interface OptionRow {
  /** Its place in `Config`, e.g. `['http', 'bodyIdleTimeoutMs']`. */
  readonly keys: readonly string[]
  /** Its place in the file, e.g. `http.bodyIdleTimeout`. */
  readonly path: string
  /** Its environment variable, e.g. `BERTH_HTTP_BODY_IDLE_TIMEOUT`. */
  readonly variable: string
  readonly schema: Option
}

/** The key of an option in the file: the code's name without the unit of a duration. */
export function fileKeyOf(key: string, node: Option | Section): string {
  return 'option' in node && node.option.kind === 'duration' ? key.replace(/Ms$/, '') : key
}

/** The environment variable of a path in the file: `http.maxRanges` is `BERTH_HTTP_MAX_RANGES`. */
export function variableOf(path: string): string {
  return `BERTH_${path.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase()}`
}

/** All options of a section and the sections in it, in the order of the file. */
export function listOptions(within: Section = configSchema, keys: readonly string[] = [], prefix = ''): OptionRow[] {
  return Object.entries(within.entries).flatMap(([key, node]) => {
    const path = prefix + fileKeyOf(key, node)
    if (!('option' in node)) return listOptions(node, [...keys, key], `${path}.`)
    return [{ keys: [...keys, key], path, variable: variableOf(path), schema: node }]
  })
}
