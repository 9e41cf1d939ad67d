/** Disks that are full, read-only or failing, under a server: CI runs it (`node --test test/faults/full-disk.proof.ts`), because it needs root and strace. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { type Registry, startBerth } from '../clients/berth.ts'
import { attempt, startDaemon } from '../clients/process.ts'
import type { Image } from '../soak/model.ts'
import { type Disk, mountFile, mountMemory, reasonToSkipDisks } from './disks.ts'
import { createSmallImage, findFlaw, type Outcome, pathOf, pushImage, send } from './pushes.ts'

const mebibyte = 1024 * 1024
const env = {
  BERTH_SWEEP_ENABLED: 'false',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
  BERTH_SWEEP_UPLOAD_IDLE: '1s',
  BERTH_REGISTRY_LEASE: '1s',
  BERTH_STORAGE_FILESYSTEM_BALLAST_BYTES: '1MiB',
}

function codeOf({ body }: Outcome): string | undefined {
  const schema = v.object({ errors: v.array(v.object({ code: v.string(), message: v.string() })) })
  return v.parse(schema, JSON.parse(body)).errors[0]?.code
}

/** The workers that a server runs: strace follows only those that start after it. */
async function childrenOf(pid: number): Promise<string[]> {
  const pids = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return pids.split(' ').filter((child) => child !== '')
}

/** Asks again until an answer is as wished; for states that come by themselves. */
async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await isSo())) {
    if (Date.now() > deadline) assert.fail(`not within a minute: ${what}`)
    await sleep(200)
  }
}

const kinds = [
  ['a memory file system', (folder: string) => mountMemory(folder, 24)],
  ['ext4', (folder: string) => mountFile(folder, 48)],
] as const

for (const [name, mount] of kinds) {
  describe(`a server on ${name}`, { skip: reasonToSkipDisks() }, () => {
    let scratch = ''
    let disk: Disk
    let berth: Registry
    const pushed: Image[] = []
    let count = 0
    before(async () => {
      scratch = await mkdtemp(join(tmpdir(), 'berth-disk-'))
      disk = await mount(join(scratch, 'disk'))
      berth = await startBerth({ folder: join(disk.folder, 'store'), env })
    })
    after(async () => {
      await berth.stop()
      await disk.unmount()
      await rm(scratch, { recursive: true, force: true })
    })

    async function push(layerBytes: number): Promise<Outcome> {
      const image = createSmallImage('full/disk', `image ${++count}`, layerBytes)
      const outcome = await pushImage(berth.url, image, `t${count}`)
      if (outcome.status === 201) pushed.push(image)
      return outcome
    }
    const gc = () =>
      attempt(process.execPath, [resolve('bin/berth.js'), 'gc'], {
        env: { ...env, BERTH_STORAGE_FILESYSTEM_ROOT: join(disk.folder, 'store') },
      })
    async function assertAllServed(): Promise<void> {
      for (const image of pushed) assert.equal(await findFlaw(berth.url, image), undefined)
    }

    it('answers 507 when the disk is full, and goes on reading', async () => {
      for (const layerBytes of [mebibyte, 16 * 1024]) {
        let outcome = await push(layerBytes)
        while (outcome.status === 201) outcome = await push(layerBytes)
        assert.equal(outcome.status, 507, outcome.body)
        assert.equal(codeOf(outcome), 'STORAGE_FULL')
      }
      assert.ok(pushed.length > 4)
      await assertAllServed()
    })

    it('deletes and sweeps at 0 free blocks, and takes pushes again by itself', async () => {
      await eventually('0 free blocks', async () => {
        // The last blocks may be of no use to a file that has become long.
        for (const [name, size] of [['filler', mebibyte] as const, [`filler-${++count}`, 4096] as const]) {
          assert.throws(() => {
            for (;;) writeFileSync(join(disk.folder, name), Buffer.alloc(size), { flag: 'a', flush: true })
          }, /ENOSPC/)
        }
        return (await disk.freeBlocks()) === 0
      })
      await assertAllServed()
      for (const image of pushed.splice(0, 4)) {
        assert.equal((await send(berth.url + pathOf(image), 'DELETE')).status, 202)
        assert.equal((await send(berth.url + pathOf(image), 'GET')).status, 404)
      }
      await eventually('the sweep frees room', async () => {
        const { code, stderr } = await gc()
        assert.equal(code, 0, stderr)
        return (await disk.freeBlocks()) * 4096 > 2 * mebibyte
      })
      await eventually('a push', async () => (await push(mebibyte)).status === 201)
      await assertAllServed()
    })
  })
}

describe('a server on a disk that fails', { skip: reasonToSkipDisks() }, () => {
  let scratch = ''
  let disk: Disk
  let berth: Registry
  let count = 0
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'berth-disk-'))
    disk = await mountFile(join(scratch, 'disk'), 48)
    berth = await startBerth({ folder: join(disk.folder, 'store'), env })
  })
  after(async () => {
    await berth.stop()
    await disk.unmount()
    await rm(scratch, { recursive: true, force: true })
  })
  const create = (): Image => createSmallImage('failing/disk', `image ${++count}`, 10_000)

  it('reads on and answers 503 to writes while the disk is read-only, and heals', async () => {
    const kept = create()
    assert.equal((await pushImage(berth.url, kept, 'kept')).status, 201)
    await disk.remount('ro')
    const refused = await pushImage(berth.url, create(), 'refused')
    assert.equal(refused.status, 503, refused.body)
    assert.equal(codeOf(refused), 'UNAVAILABLE')
    assert.equal((await send(berth.url + pathOf(kept), 'DELETE')).status, 503)
    assert.equal(await findFlaw(berth.url, kept), undefined)
    await disk.remount('rw')
    assert.equal((await pushImage(berth.url, create(), 'again')).status, 201)
  })

  it('acknowledges nothing that could not be synced, reads on, and heals', async () => {
    const kept = create()
    assert.equal((await pushImage(berth.url, kept, 'kept')).status, 201)
    const calls = 'fsync,fdatasync'
    const strace = startDaemon('strace', [
      '-fqq',
      `--output=${join(scratch, 'trace')}`,
      ...[berth.pid, ...(await childrenOf(berth.pid))].map((pid) => `--attach=${pid}`),
      `--trace=${calls}`,
      `--inject=${calls}:error=EIO`,
    ])
    const victim = create()
    await eventually('a push is refused', async () => (await pushImage(berth.url, victim, 'victim')).status === 503)
    for (let i = 0; i < 5; i++) assert.equal((await pushImage(berth.url, create(), `no${i}`)).status, 503)
    assert.equal(await findFlaw(berth.url, kept), undefined)
    await strace.stop()
    assert.equal((await pushImage(berth.url, victim, 'victim')).status, 201)
    assert.equal(await findFlaw(berth.url, victim), undefined)
  })
})
