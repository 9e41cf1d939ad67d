/**
 * The real registry on a memory store of which every driver call is a scheduling point: several processes, a clock that jumps, kills anywhere. What a
 * schedule did is recorded as facts, and the store is held against them after every step.
 */
import type { Digest } from '../../src/oci/digest.ts'
import type { RepositoryName } from '../../src/oci/name.ts'
import type { Context } from '../../src/registry/context.ts'
import type { ImmutableTags } from '../../src/registry/immutable.ts'
import { keySpace } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import { readManifest } from '../../src/registry/lookup.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { removeUntagged } from '../../src/registry/retention/untagged.ts'
import { createSweepParts, type SweepParts } from './sweep-parts.ts'
import { createScrub, type Scrub } from '../../src/registry/scrub/scrub.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { createMemoryDriver } from '../../src/storage/memory.ts'
import { type Chooser, createRandom, type Option } from './choices.ts'

export const minute = 60_000
export const leaseMs = 24 * 60 * minute
export const shortMs = 11 * minute
export const longMs = leaseMs + minute

const limits = {
  leaseMs,
  freshMarkMs: minute,
  markWaitMs: 60,
  pushIdleMs: 60 * minute,
  maxOpenUploads: 1000,
  maxBlobBytes: 1024 ** 3,
  maxUploadChunks: 100,
  maxManifestDepth: 64,
  maxManifestReferences: 1000,
  maxRunningHashes: 10,
  maxParallelCalls: 4,
}

export const sweepLimits = {
  garbageAgeMs: 10 * minute,
  uploadIdleMs: leaseMs,
  copyWindowMs: 10 * minute,
  batchSize: 10,
}

/** One process of the simulation: nothing in its memory is shared. */
export interface Process {
  readonly registry: Registry
  readonly sweep: SweepParts
  readonly scrub: Scrub
  /** Retention's removal of a manifest that nothing names; kept for what names it. */
  readonly retire: (repository: RepositoryName, digest: Digest) => Promise<void>
  /** The store's clock now. */
  readonly now: () => number
  /** Looks at the store itself, as a step of its own. */
  readonly peek: (look: (store: Driver) => Promise<void>) => Promise<void>
}

interface Call {
  readonly process: string
  readonly label: string
  /** False for a copy under way: it lands even when its process is gone. */
  readonly diesWithProcess: boolean
  readonly run: () => Promise<void>
}

export interface SimulationOptions {
  readonly chooser: Chooser
  /** How often time may jump while processes run: past the garbage age, past the lease. */
  readonly shorts?: number
  readonly longs?: number
  readonly kills?: number
  /** `slow copy`: promote is a copy that takes time, as on S3. */
  readonly promotion?: 'move' | 'slow copy'
  /** `looks first`: a removal if unchanged looks and removes in two steps, as on a store of which no more is known. */
  readonly removal?: 'exact' | 'looks first' | undefined
  readonly immutableTags?: ImmutableTags
  /** Opens the store, which is empty; without it one in memory. Its times go on with this clock. */
  readonly openStore?: ((clock: { readonly now: number }) => Driver) | undefined
  /** A defect of the store, for the proof that it would be noticed. */
  readonly defect?: 'promote is no fence' | 'removes unconditionally' | undefined
}

export interface Simulation {
  /** The store itself, for setting up and looking; not scheduled. */
  readonly store: Driver
  readonly clock: { now: number }
  readonly removal: 'exact' | 'looks first'
  readonly immutableTags: ImmutableTags | undefined
  /** A process whose calls are not scheduled. */
  readonly outside: Process
  /** Another such process: it remembers nothing of what the first did. */
  readonly createOutside: () => Process
  start(name: string, run: (process: Process) => Promise<void>): void
  /** Lets one process alone go on until its next call begins with `label` for the `nth` time: the start of a case that is rare. */
  advance(name: string, label: string, nth?: number): Promise<void>
  kill(name: string): void
  /** Runs until every process has ended or is dead; `check` after every step that changed the store; `trail` gets every step. */
  run(check: () => Promise<void>, trail: string[]): Promise<{ readonly kills: number; readonly jumps: number }>
}

/** Ids that look random and are the same in every run: a schedule must be repeatable. */
function createIds(): () => string {
  const random = createRandom(1)
  const hex = (digits: number): string =>
    Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('')
  return () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`
}

function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

const changing = new Set(['write', 'seal', 'promote', 'land', 'remove', 'time'])

export function createSimulation(options: SimulationOptions): Simulation {
  const { chooser, promotion = 'move', removal = 'exact', immutableTags, defect } = options
  const budget = { shorts: options.shorts ?? 0, longs: options.longs ?? 0, kills: options.kills ?? 0 }
  const clock = { now: 1_800_000_000_000 }
  const createId = createIds()
  const store = options.openStore?.(clock) ?? createMemoryDriver({ keySpace, now: () => clock.now, createId })
  let pending: Call[] = []
  const running = new Set<string>()
  const dead = new Set<string>()
  let killed = 0
  let jumps = 0

  function schedule<T>(process: string, label: string, run: () => Promise<T>, diesWithProcess = true): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (dead.has(process) && diesWithProcess) return
      pending.push({ process, label, diesWithProcess, run: () => run().then(resolve, reject) })
    })
  }

  function createDriver(process: string): Driver {
    const call = <T>(method: string, key: string, run: () => Promise<T>): Promise<T> =>
      schedule(process, `${method} ${key}`, run)
    const copySlowly = async (entry: string, record: string): Promise<'done' | 'refused'> => {
      const source = await call('copy', entry, () => store.read(entry))
      if (source === undefined) return 'refused'
      await schedule(process, `land ${record}`, () => store.write(record, source.bytes), false)
      await call('remove', entry, () => store.remove(entry))
      return 'done'
    }
    const promote = async (entry: string, record: string): Promise<'done' | 'refused'> => {
      if (promotion === 'slow copy') return copySlowly(entry, record)
      if (defect !== 'promote is no fence') return call('promote', record, () => store.promote(entry, record))
      const source = await call('read', entry, () => store.read(entry))
      if (source === undefined) return 'refused'
      await call('write', record, () => store.write(record, source.bytes))
      await call('remove', entry, () => store.remove(entry))
      return 'done'
    }
    const remove: Driver['remove'] = async (key, how) => {
      if (defect === 'removes unconditionally') return call('remove', key, () => store.remove(key))
      if (removal === 'exact' || how?.ifUnchanged === undefined)
        return call('remove', key, () => store.remove(key, how))
      const found = await call('look', key, () => store.stat(key))
      if (found === undefined) return 'absent'
      return found.version === how.ifUnchanged ? call('remove', key, () => store.remove(key)) : 'changed'
    }
    return {
      ...store,
      removal,
      promotion: promotion === 'move' ? 'move' : 'copy',
      read: (key) => call('read', key, () => store.read(key)),
      stat: (key) => call('stat', key, () => store.stat(key)),
      open: (key, range) => call('open', key, () => store.open(key, range)),
      write: (key, bytes, how) => call('write', key, () => store.write(key, bytes, how)),
      writeStream: async (key) => {
        const writer = await store.writeStream(key)
        return { ...writer, seal: () => call('seal', key, () => writer.seal()) }
      },
      promote,
      remove,
      list: (prefix, how) => call('list', prefix, () => store.list(prefix, how)),
      settle: (prefix) => call('settle', prefix, () => store.settle(prefix)),
      tidy: () => Promise.resolve(0),
    }
  }

  function createProcess(driver: Driver, sleep: Context['sleep'], peek: Process['peek']): Process {
    const context: Context = { driver, limits, immutableTags, createId, now: () => clock.now, sleep }
    const dependencies = { ...context, sweepLimits, tracksUntagged: () => true, monotonicMs: () => clock.now }
    const sweep = createSweepParts(dependencies)
    const scrub = createScrub(dependencies)
    const retire: Process['retire'] = async (repository, digest) => {
      const manifest = await readManifest(context, repository, digest, {})
      if (manifest !== undefined) await removeUntagged(context, repository, manifest, {})
    }
    return { registry: createLocalRegistry(context), sweep, scrub, retire, now: () => clock.now, peek }
  }

  /** What can happen next; the first is that whoever ran last goes on. */
  const kill = (name: string): void => {
    killed++
    dead.add(name)
    running.delete(name)
  }

  function findOptions(last: string | undefined): (Option & { name: string; run: () => Promise<void> })[] {
    pending = pending.filter((each) => !each.diesWithProcess || !dead.has(each.process))
    const calls = [...pending].sort((a, b) => Number(b.process === last) - Number(a.process === last))
    const found: ReturnType<typeof findOptions> = calls.map((each) => ({
      kind: 'call',
      actor: each.process,
      name: `${each.process}: ${each.label}`,
      run: async () => {
        pending = pending.filter((other) => other !== each)
        await each.run()
      },
    }))
    const isCopying = pending.some(({ label }) => label.startsWith('land '))
    const jump = (name: 'shorts' | 'longs', ms: number): void => {
      if (budget[name] === 0 || isCopying) return
      const run = async (): Promise<void> => {
        budget[name]--
        jumps++
        clock.now += ms
      }
      found.push({ kind: 'time', actor: name, name: `time: ${ms / minute} minutes pass`, run })
    }
    if (found.length > 0) {
      jump('shorts', shortMs)
      jump('longs', longMs)
      if (budget.kills > 0) {
        for (const process of running) {
          const run = async (): Promise<void> => {
            budget.kills--
            kill(process)
          }
          found.push({ kind: 'kill', actor: process, name: `kill ${process}`, run })
        }
      }
    }
    return found
  }

  const createOutside = (): Process =>
    createProcess(
      { ...store, removal, tidy: () => Promise.resolve(0) },
      async () => undefined,
      (look) => look(store),
    )

  return {
    store,
    clock,
    removal,
    immutableTags,
    kill,
    async advance(name, label, nth = 1) {
      for (let met = 0; ;) {
        await settled()
        const next = pending.find(({ process }) => process === name)
        if (next === undefined) throw new Error(`${name} ended before it came to ${label}`)
        if (next.label.startsWith(label) && ++met === nth) return
        pending = pending.filter((other) => other !== next)
        await next.run()
      }
    },
    outside: createOutside(),
    createOutside,
    start(name, run) {
      running.add(name)
      const sleep = (ms: number): Promise<void> => schedule(name, `sleep ${ms}`, async () => undefined)
      const process = createProcess(createDriver(name), sleep, (look) => schedule(name, 'peek', () => look(store)))
      run(process).then(
        () => running.delete(name),
        (error: unknown) => {
          running.delete(name)
          throw error
        },
      )
    },
    async run(check, trail) {
      let last: string | undefined
      for (;;) {
        await settled()
        const found = findOptions(last)
        if (found.length === 0) break
        const [first] = found
        const canContinue = last !== undefined && first?.name.startsWith(`${last}: `) === true
        const chosen = found[chooser.pick(found, canContinue ? 'can continue' : 'must switch')] ?? first
        if (chosen === undefined) break
        trail.push(chosen.name)
        await chosen.run()
        const [process = '', method = ''] = chosen.name.split(/:? /)
        if (pending.some((each) => each.process === process) || running.has(process)) last = process
        if (changing.has(method) || process === 'time') await check()
      }
      if (running.size > 0) throw new Error(`never ended: ${[...running].join(', ')}`)
      return { kills: killed, jumps }
    },
  }
}
