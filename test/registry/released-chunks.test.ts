/** Chunks whose memory is taken away as soon as the driver says that they are written: on a folder, through what a server puts around its driver. */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { computeDigest } from '../../src/oci/digest.ts'
import { keySpace } from '../../src/registry/layout.ts'
import { createLocalRegistry } from '../../src/registry/local.ts'
import type { BodySource } from '../../src/registry/registry.ts'
import { createFilesystemDriver } from '../../src/storage/filesystem/driver.ts'
import { meterDriver } from '../../src/storage/metered.ts'
import { createYieldingDriver } from '../../src/storage/yielding.ts'
import { createFolder, type Folder } from '../storage/folder.ts'
import { limits, repo } from './harness.ts'

const mebibyte = 1024 * 1024

/** A body in chunks that have their memory for themselves, and how many were released. */
function releasable(bytes: Buffer): { readonly body: BodySource; readonly released: Uint8Array[] } {
  const released: Uint8Array[] = []
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let start = 0; start < bytes.length; start += 65_536) {
      yield new Uint8Array(bytes.subarray(start, start + 65_536))
    }
  }
  const release = (chunk: Uint8Array): void => {
    released.push(chunk)
    if (chunk.buffer instanceof ArrayBuffer) chunk.buffer.transfer(0)
  }
  return { released, body: { [Symbol.asyncIterator]: chunks, release } }
}

describe('chunks that are released when they are written', () => {
  let folder: Folder
  before(async () => {
    folder = await createFolder()
  })
  after(() => folder.remove())

  it('are hashed and stored before, in every request of an upload', async () => {
    const onFolder = await createFilesystemDriver({
      root: join(folder.root, 'store'),
      keySpace,
      mount: 'local',
      ballastBytes: 0,
      now: Date.now,
      createId: randomUUID,
    })
    const metered = meterDriver(onFolder, { record: () => undefined }, () => 0)
    const idle = { share: 1, runMs: 1, usedMs: () => 0, elapsedMs: () => 0, pause: () => undefined }
    const driver = createYieldingDriver(metered, idle)
    const registry = createLocalRegistry({
      driver,
      limits,
      createId: randomUUID,
      now: Date.now,
      sleep: async () => undefined,
    })
    const bytes = randomBytes(7 * mebibyte + 5)
    const half = 3 * mebibyte + 70_000
    const { id } = await registry.uploads.start(repo, { by: 'test' })
    const first = releasable(bytes.subarray(0, half))
    await registry.uploads.append(repo, id, { body: first.body })
    const second = releasable(bytes.subarray(half))
    const range = { start: half, end: bytes.length }
    const digest = computeDigest('sha256', bytes)
    assert.equal((await registry.uploads.close(repo, id, digest, { body: second.body, range })).size, bytes.length)
    for (const { released } of [first, second]) {
      assert.ok(released.length >= 48, `${released.length} chunks were released`)
      assert.ok(released.every((chunk) => chunk.length === 0))
      assert.equal(new Set(released).size, released.length)
    }
    const other = computeDigest('sha512', bytes)
    const again = await registry.uploads.start(repo, { by: 'test' })
    const whole = releasable(bytes)
    await registry.uploads.append(repo, again.id, { body: whole.body })
    // Another algorithm than was hashed: the bytes are read back.
    assert.equal((await registry.uploads.close(repo, again.id, other, undefined)).digest, other)
  })
})
