import assert from 'node:assert/strict'
import { mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { computeDigest } from '../../src/oci/digest.ts'
import { imageOf } from '../registry/harness.ts'
import { run, startRun } from './surroundings.ts'

const layer = 'the bytes of a layer'

/** A server on a folder of its own, whose leases are over at once; it does not sweep. */
async function startServer(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), 'berth-scrub-'))
  const environment = {
    BERTH_STORAGE_FILESYSTEM_ROOT: root,
    BERTH_STORAGE_FILESYSTEM_BALLAST_BYTES: '0B',
    BERTH_HTTP_PORT: '0',
    BERTH_PULSE_PORT: '0',
    BERTH_REGISTRY_LEASE: '1s',
    BERTH_REGISTRY_MARK_WAIT: '0s',
    BERTH_SWEEP_ENABLED: 'false',
    BERTH_SWEEP_GARBAGE_AGE: '0s',
    BERTH_SWEEP_UPLOAD_IDLE: '1s',
    BERTH_SWEEP_PUSH_IDLE: '1s',
  }
  const server = startRun(['serve'], { environment })
  t.after(async () => {
    server.stop()
    await server.done
    await rm(root, { recursive: true, force: true })
  })
  const [, port] = await server.printed(/"port":(\d+)/)
  const berth = (...args: readonly string[]) => run(args, { environment })
  return { root, url: `http://127.0.0.1:${port}/v2/team/app`, berth }
}

async function pushBlob(url: string, text: string): Promise<void> {
  const digest = computeDigest('sha256', Buffer.from(text))
  const answer = await fetch(`${url}/blobs/uploads/?digest=${digest}`, { method: 'POST', body: text })
  assert.equal(answer.status, 201)
}

async function pushImage(url: string): Promise<void> {
  for (const text of ['config', layer]) await pushBlob(url, text)
  const bytes = imageOf('config', [layer])
  assert.equal((await fetch(`${url}/manifests/v1`, { method: 'PUT', body: new Uint8Array(bytes) })).status, 201)
}

/** Changes one byte of the file that holds a text. */
async function flipByte(root: string, text: string): Promise<void> {
  for (const name of await readdir(join(root, 'data'), { recursive: true })) {
    if (name.split('/').length !== 2) continue
    await using file = await open(join(root, 'data', name), 'r+')
    if ((await file.readFile('utf8')) === text) await file.write('!', 0)
  }
}

test('berth scrub finds a flipped byte, --repair puts it aside, the next push brings it anew', async (t) => {
  const { root, url, berth } = await startServer(t)
  const blob = `${url}/blobs/${computeDigest('sha256', Buffer.from(layer))}`
  await pushImage(url)
  await sleep(1100)
  await berth('gc')
  const clean = await berth('scrub')
  assert.deepEqual(
    { code: clean.code, out: clean.out },
    { code: 0, out: 'Read 26 bytes of blobs.\nEverything is as it should be.\n' },
  )

  await flipByte(root, layer)
  const found = await berth('scrub')
  assert.equal(found.code, 4)
  assert.match(found.out, /^damaged +found +sha256:\w+ {2}data\/\S+ {2}\(the bytes have the digest sha256:\w+\)\n/)
  assert.match(found.out, /1 {2}damaged: bytes that are not what their digest says\n$/)
  assert.equal(found.err, 'berth: 1 thing is not as it should be\n')
  const lines = (await berth('scrub', '--json')).out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ type, kind }) => [type, kind]),
    [
      ['finding', 'damaged'],
      ['end', undefined],
    ],
  )

  assert.equal((await berth('scrub', '--repair')).code, 4)
  assert.equal((await fetch(blob, { method: 'HEAD' })).status, 404)
  await pushImage(url)
  assert.equal(await (await fetch(blob)).text(), layer)
  assert.match((await berth('scrub', '--repair')).out, /^kept +found/)
  assert.match((await berth('scrub', '--delete-damaged')).out, /^kept +deleted/)
  assert.equal((await berth('scrub')).code, 0)
  assert.equal(await (await fetch(blob)).text(), layer)
})

test('berth scrub refuses what it cannot do', async () => {
  const refused = async (args: readonly string[], environment = {}) => {
    const { code, err } = await run(['scrub', ...args], { environment })
    assert.equal(code, 2)
    return err
  }
  assert.match(await refused([], { BERTH_STORAGE_KIND: 'memory' }), /in memory/)
  assert.match(await refused(['--rate', 'fast']), /--rate takes a size, like 50MiB, not "fast"/)
  assert.match(await refused(['--from', '17 %']), /--from takes a position/)
})
