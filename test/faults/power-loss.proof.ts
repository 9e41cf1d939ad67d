/**
 * Power loss: the disk of a server that takes pushes, copied at random moments (`IMAGES`, 100 without it). What is on each copy is what a machine would find
 * that lost its power then. CI runs it (`node --test test/faults/power-loss.proof.ts`), because it needs root.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startBerth } from '../clients/berth.ts'
import type { Registry } from '../clients/berth.ts'
import { parseDigest } from '../../src/oci/digest.ts'
import { parseName, parseTag } from '../../src/oci/name.ts'
import { keySpace, manifestKey, tagKey } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import type { Registry as LocalRegistry } from '../../src/registry/registry.ts'
import { decodeTag } from '../../src/registry/records.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import type { Driver } from '../../src/storage/driver.ts'
import { createFilesystemDriver } from '../../src/storage/filesystem/driver.ts'
import { hour, limits, readBlob } from '../registry/harness.ts'
import type { Image } from '../soak/model.ts'
import { copyAtOneMoment, type Disk, mountCopy, mountFile, reasonToSkipDisks } from './disks.ts'
import { createSmallImage, pushImage } from './pushes.ts'

const images = Number(process.env['IMAGES'] ?? 100)
const clients = 3
/** Pushes from one copy to the next: the disk is small. */
const pushesPerImage = 7

interface Acknowledged {
  readonly image: Image
  readonly tag: string
}

/** A registry on a copy, and a sweep for which all times are over. */
async function openCopy(folder: string) {
  const now = (): number => Date.now() + 100 * hour
  const options = { root: folder, keySpace, mount: 'local', now, createId: randomUUID } as const
  const driver = await createFilesystemDriver(options)
  const context = { driver, limits, createId: randomUUID, now, sleep: (ms: number) => sleep(ms) }
  const times = { garbageAgeMs: 0, uploadIdleMs: hour, copyWindowMs: hour, batchSize: 100 }
  const sweep = createSweep({ ...context, sweepLimits: times, monotonicMs: () => performance.now() })
  return { driver, registry: createLocalRegistry(context), sweep }
}

async function assertWhole(registry: LocalRegistry, driver: Driver, { image, tag }: Acknowledged): Promise<void> {
  const repository = parseName(image.repository)
  const digest = parseDigest(image.digest)
  const manifest = await registry.manifests.get(repository, { kind: 'digest', digest })
  assert.ok(manifest.bytes.equals(image.bytes), manifestKey(repository, digest))
  const stored = await driver.read(tagKey(repository, parseTag(tag)))
  assert.equal(stored && decodeTag(stored.bytes).digest, digest, `tag ${tag}`)
  for (const blob of image.blobs) await assertBlob(registry, image, blob.digest)
}

async function assertBlob(registry: LocalRegistry, image: Image, digest: string): Promise<void> {
  const bytes = await readBlob(registry, parseName(image.repository), parseDigest(digest))
  const expected = image.blobs.find((blob) => blob.digest === digest)
  assert.equal(bytes, expected?.bytes.toString(), `blob ${digest} of ${image.digest}`)
}

/** What was not acknowledged yet is there whole or not at all. */
async function assertNothingHalf(registry: LocalRegistry, begun: readonly Image[]): Promise<void> {
  for (const image of begun) {
    const reference = { kind: 'digest', digest: parseDigest(image.digest) } as const
    const isThere = await registry.manifests.get(parseName(image.repository), reference).then(
      () => true,
      (error: unknown) => {
        assert.equal(Object(error).code, 'MANIFEST_UNKNOWN', String(error))
        return false
      },
    )
    if (isThere) for (const blob of image.blobs) await assertBlob(registry, image, blob.digest)
  }
}

describe('a server whose power goes off', { skip: reasonToSkipDisks() }, () => {
  let scratch = ''
  let disk: Disk
  let berth: Registry
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'berth-power-'))
    disk = await mountFile(join(scratch, 'disk'), 112)
    berth = await startBerth({ folder: join(disk.folder, 'store') })
  })
  after(async () => {
    await berth.stop()
    await disk.unmount()
    await rm(scratch, { recursive: true, force: true })
  })

  it(`has kept every acknowledged push on ${images} crash images`, async (t) => {
    const acknowledged: Acknowledged[] = []
    const begun = new Set<Image>()
    const stop = new AbortController()
    let count = 0
    let looked = 0
    async function pushAll(repository: string): Promise<void> {
      while (!stop.signal.aborted) {
        if (count >= (looked + 1) * pushesPerImage) {
          await sleep(20)
          continue
        }
        const image = createSmallImage(repository, `image ${++count}`, 2 * Math.ceil(Math.random() * 4000))
        const tag = `t${count % 20}-${count}`
        begun.add(image)
        const { status, body } = await pushImage(berth.url, image, tag)
        assert.equal(status, 201, body)
        acknowledged.push({ image, tag })
        begun.delete(image)
      }
    }

    async function lookAtCopy(number: number): Promise<void> {
      const copy = join(scratch, `copy-${number}`)
      looked = number
      await sleep(Math.random() * 250)
      // All of them every tenth time, and then a sweep as well: it must take nothing of them. Else the latest, which were at risk.
      const isTenth = number % 10 === 9
      const known = acknowledged.slice(isTenth ? 0 : -30)
      // Stopped, so that the copy is of one moment: what the kernel still held back is lost as it would be.
      process.kill(berth.pid, 'SIGSTOP')
      const half = [...begun]
      await copyAtOneMoment(`${disk.folder}.img`, `${copy}.img`)
      process.kill(berth.pid, 'SIGCONT')
      const crashed = await mountCopy(`${copy}.img`, copy)
      try {
        const { driver, registry, sweep } = await openCopy(join(copy, 'store'))
        for (const each of known) await assertWhole(registry, driver, each)
        await assertNothingHalf(registry, half)
        if (!isTenth) return
        await sweep.run('sweep')
        for (const each of known) await assertWhole(registry, driver, each)
        await assertNothingHalf(registry, half)
      } finally {
        await crashed.unmount()
      }
    }

    const pushing = Promise.all(Array.from({ length: clients }, (_, client) => pushAll(`power/loss${client}`)))
    pushing.catch(() => stop.abort())
    try {
      for (let number = 0; number < images && !stop.signal.aborted; number++) await lookAtCopy(number)
    } finally {
      stop.abort()
    }
    await pushing
    t.diagnostic(`power loss: ${images} crash images, ${acknowledged.length} pushes acknowledged, none lost`)
  })
})
