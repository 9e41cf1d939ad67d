/** Where the calls for a local disk are made: on the event loop they are done when they return, in the thread pool they are not. */
import assert from 'node:assert/strict'
import { existsSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createLocalCalls } from '../../src/storage/filesystem/calls.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-calls-'))
})
after(() => rm(folder, { recursive: true }))

/** Requests to the thread pool, with those that ended and were not yet collected. */
const requests = (): number => process.getActiveResourcesInfo().filter((name) => name === 'FSReqCallback').length

/** Makes a call, and says whether it went to the thread pool. */
function make<T>(call: () => Promise<T>): { readonly done: Promise<T>; readonly isPooled: boolean } {
  const before = requests()
  const done = call()
  return { done, isPooled: requests() > before }
}

void test('what changes the tree is done on the event loop, until one is held up, and again a second later', async () => {
  let nowMs = 0
  let takesMs = 0
  const calls = createLocalCalls(() => (nowMs += takesMs))
  const at = (name: string): string => join(folder, name)

  const first = make(() => calls.mkdir(at('a')))
  assert.ok(!first.isPooled && existsSync(at('a')))
  await first.done

  takesMs = 21
  await calls.mkdir(at('b'))
  takesMs = 0
  const later = make(() => calls.mkdir(at('c')))
  assert.ok(later.isPooled, 'one was held up: the next is for the thread pool')
  await later.done
  assert.ok(existsSync(at('c')))

  nowMs += 1000
  const again = make(() => calls.rename(at('c'), at('d')))
  assert.ok(!again.isPooled && existsSync(at('d')))
  await again.done
})

void test('a change that fails on the event loop rejects, and its time counts', async () => {
  let nowMs = 0
  let takesMs = 21
  const calls = createLocalCalls(() => (nowMs += takesMs))
  await assert.rejects(calls.rmdir(join(folder, 'none')), { code: 'ENOENT' })
  takesMs = 0
  const next = make(() => calls.rmdir(join(folder, 'none')))
  assert.ok(next.isPooled)
  await assert.rejects(next.done, { code: 'ENOENT' })
})

void test('a large write and the removal of a large file are for the thread pool', async () => {
  const calls = createLocalCalls(() => 0)
  const path = join(folder, 'file')
  const file = await calls.create(path)
  const little = make(() => calls.write(file, [Buffer.alloc(8192), Buffer.alloc(8192)], 0))
  assert.ok(!little.isPooled)
  assert.equal(await little.done, 16_384)
  const much = make(() => calls.write(file, [Buffer.alloc(8192), Buffer.alloc(8193)], 0))
  assert.ok(much.isPooled)
  assert.equal(await much.done, 16_385)
  await calls.close(file)

  const large = make(() => calls.unlink(path))
  assert.ok(large.isPooled)
  await large.done
  assert.ok(!existsSync(path))

  writeFileSync(path, '')
  truncateSync(path, 16_384)
  const small = make(() => calls.unlink(path))
  assert.ok(!small.isPooled && !existsSync(path))
  await small.done
  await assert.rejects(calls.unlink(path), { code: 'ENOENT' })
})
