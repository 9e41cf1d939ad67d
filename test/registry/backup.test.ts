/** The order of copies that `docs/operations.md` tells: a copy that is taken while others push, move, delete and sweep holds whatever stood before it began. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { constants, copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Digest } from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'
import { parseReference } from '../../src/oci/name.ts'
import { openFormat } from '../../src/registry/format.ts'
import { keySpace } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import type { Registry } from '../../src/registry/registry.ts'
import type { Finding, FindingKind, ScrubMode } from '../../src/registry/scrub/context.ts'
import { createScrub } from '../../src/registry/scrub/scrub.ts'
import { createSweep, type SweepDependencies } from '../../src/registry/sweep/sweep.ts'
import { createFilesystemDriver } from '../../src/storage/filesystem/driver.ts'
import { imageOf, limits, pushBlob, pushManifest, readBlob, repo, sha256 } from './harness.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8')
const [, script = ''] = /^```sh\n(from=.*?)^```$/ms.exec(page) ?? []
const [, order = ''] = /^for part in (.*); do$/m.exec(script) ?? []
const hasRsync = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'rsync')))

/** Everything that may be collected is, as soon as it may be. */
async function open(root: string): Promise<SweepDependencies> {
  const driver = await createFilesystemDriver({
    root,
    keySpace,
    mount: 'local',
    now: Date.now,
    createId: randomUUID,
    ballastBytes: 0,
  })
  await openFormat(driver, root)
  return {
    driver,
    limits: { ...limits, leaseMs: 500, freshMarkMs: 100, markWaitMs: 50, pushIdleMs: 60_000 },
    sweepLimits: { garbageAgeMs: 0, uploadIdleMs: 500, copyWindowMs: 0, batchSize: 20 },
    createId: randomUUID,
    now: Date.now,
    sleep: (ms, signal) => sleep(ms, undefined, { signal }),
    monotonicMs: () => performance.now(),
  }
}

/** Copies as rsync does: what is there already is left, what vanished meanwhile is told. */
async function copyPart(from: string, to: string): Promise<'whole' | 'vanished'> {
  let outcome: 'whole' | 'vanished' = 'whole'
  await mkdir(to, { recursive: true })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    try {
      if (entry.isFile()) await copyFile(source, target, constants.COPYFILE_EXCL)
      else if ((await copyPart(source, target)) === 'vanished') outcome = 'vanished'
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'ENOENT') outcome = 'vanished'
      else if (code !== 'EEXIST') throw error
    }
  }
  return outcome
}

const ways: Readonly<
  Record<string, { readonly skip: string | false; readonly copy: (from: string, to: string) => Promise<unknown> }>
> = {
  'in the order of the page': {
    skip: false,
    async copy(from, to) {
      await copyFile(join(from, 'berth'), join(to, 'berth'))
      for (const part of order.split(' ')) {
        while ((await copyPart(join(from, part), join(to, part))) === 'vanished');
      }
    },
  },
  'by the commands of the page': {
    skip: hasRsync ? false : 'rsync is not installed',
    copy: (from, to) =>
      promisify(execFile)('sh', ['-ec', script.replace(/^from=.*$/m, 'from=$1 to=$2'), 'sh', from, to]),
  },
}

/** Pushes an image of its own under a tag; its digest, or nothing when it was refused. */
async function push(registry: Registry, tag: string): Promise<{ digest: Digest; layer: string } | undefined> {
  const layer = randomUUID()
  try {
    for (const text of ['config', layer]) await pushBlob(registry, repo, text)
    return { digest: await pushManifest(registry, repo, tag, imageOf('config', [layer])), layer }
  } catch (error) {
    // The lease is short here: whoever is slower than it is told to upload again.
    if (error instanceof OciError) return undefined
    throw error
  }
}

/** How often each client pushes at most: a copy is tried again while files vanish, and would never end when the store grew faster than it. */
const maxSteps = 200

/** Clients and a sweep until the signal. `deleted` gets the digests of the manifests that are deleted. */
async function disturb(store: SweepDependencies, deleted: Set<Digest>, signal: AbortSignal): Promise<void> {
  const registry = createLocalRegistry(store)
  const sweep = createSweep(store)
  const until = async (step: (n: number) => Promise<unknown>): Promise<void> => {
    for (let n = 0; !signal.aborted && n < maxSteps; n++) await step(n)
  }
  await Promise.all([
    until((n) => push(registry, `new-${n}`)),
    until((n) => push(registry, `moved-${n % 10}`)),
    until(async (n) => {
      const pushed = await push(registry, `deleted-${n % 3}`)
      if (pushed === undefined) return
      deleted.add(pushed.digest)
      await registry.manifests.remove(repo, parseReference(pushed.digest))
    }),
    until(() => sweep.run('sweep')),
  ])
}

async function scrub(store: SweepDependencies, mode: ScrubMode): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  await createScrub(store).run(mode, { onFinding: (finding) => findings.push(finding) })
  return findings
}

describe('a copy of a store that is at work', () => {
  for (const [name, { skip, copy }] of Object.entries(ways)) {
    it(`${name} holds every tag that stood before it began`, { skip }, async (t) => {
      const [from, to] = await Promise.all([1, 2].map(() => mkdtemp(join(tmpdir(), 'berth-backup-'))))
      assert.ok(from !== undefined && to !== undefined)
      t.after(() => Promise.all([from, to].map((folder) => rm(folder, { recursive: true, force: true }))))
      const store = await open(from)
      const registry = createLocalRegistry(store)
      const stood = new Map<string, string | undefined>()
      for (let n = 0; n < 20; n++) stood.set(`stays-${n}`, (await push(registry, `stays-${n}`))?.layer)
      for (let n = 0; n < 10; n++)
        if ((await push(registry, `moved-${n}`)) !== undefined) stood.set(`moved-${n}`, undefined)
      const stop = new AbortController()
      const deleted = new Set<Digest>()
      const disturbing = disturb(store, deleted, stop.signal)
      await copy(from, to)
      stop.abort()
      await disturbing

      const copied = await open(to)
      const inCopy = createLocalRegistry(copied)
      for (const [tag, layer] of stood) {
        const { bytes } = await inCopy.manifests.get(repo, parseReference(tag))
        for (const digest of bytes.toString().match(/sha256:\w{64}/g) ?? []) {
          const blob = parseReference(digest)
          if (blob.kind === 'digest') assert.equal(sha256(await readBlob(inCopy, repo, blob.digest)), digest, tag)
        }
        if (layer !== undefined) assert.equal(await readBlob(inCopy, repo, sha256(layer)), layer)
      }
      // What was deleted meanwhile may be caught half; what was left behind costs space, and what else is missing is written by the repair.
      const seriously = async (mode: ScrubMode, harmless: readonly FindingKind[]): Promise<readonly Finding[]> => {
        const isSerious = ({ kind, digest }: Finding): boolean =>
          !harmless.includes(kind) && (digest === undefined || !deleted.has(digest))
        return (await scrub(copied, mode)).filter(isSerious)
      }
      const leftBehind = ['unused', 'orphan', 'dead hint'] as const
      assert.deepEqual(await seriously('repair', [...leftBehind, 'dead tag', 'missing hint', 'dangling']), [])
      assert.deepEqual(await seriously('look', leftBehind), [])
    })
  }
})
