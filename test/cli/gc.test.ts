import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { computeDigest } from '../../src/oci/digest.ts'
import { run } from './surroundings.ts'

/** All times as short as they may be: what nothing names is due at once. */
const hasty = {
  BERTH_REGISTRY_LEASE: '1s',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
  BERTH_SWEEP_UPLOAD_IDLE: '1s',
  BERTH_SWEEP_INTERVAL: '1s',
}

let root: string
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-gc-'))
})
after(() => rm(root, { recursive: true, force: true }))

async function pushBlob(port: string, text: string): Promise<void> {
  const digest = computeDigest('sha256', Buffer.from(text))
  const url = `http://127.0.0.1:${port}/v2/a/b/blobs/uploads/?digest=${digest}`
  const answer = await fetch(url, { method: 'POST', body: text })
  assert.equal(answer.status, 201)
}

/** Starts a real server and gives its port; `stop` resolves with the exit code. */
async function startServer(environment: Readonly<Record<string, string>>) {
  const berth = join(import.meta.dirname, '../../bin/berth.js')
  const env = {
    ...process.env,
    BERTH_STORAGE_FILESYSTEM_ROOT: root,
    BERTH_HTTP_PORT: '0',
    BERTH_PULSE_PORT: '0',
    ...environment,
  }
  const child = spawn(process.execPath, [berth, 'serve'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (text: Buffer) => {
      printed += text.toString()
      const found = /"port":(\d+)/.exec(printed)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${printed}`)))
  })
  const stop = (): Promise<number | null> =>
    new Promise((resolve) => {
      child.once('exit', resolve)
      child.kill('SIGTERM')
    })
  return { port, stop, printed: () => printed }
}

async function stored(): Promise<readonly string[]> {
  return readdir(join(root, 'data'))
}

/** Waits for a state that the server brings about by itself; there is no event to wait for. */
async function until(is: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000
  while (!(await is())) {
    assert.ok(performance.now() < end, 'it did not come about within 30 s')
    await sleep(50)
  }
}

describe('berth gc', () => {
  it('looks with --dry-run, frees without, while a server runs', async () => {
    const server = await startServer({ BERTH_SWEEP_ENABLED: 'false' })
    await pushBlob(server.port, 'nobody names this')
    await sleep(1100)
    const environment = { BERTH_STORAGE_FILESYSTEM_ROOT: root, ...hasty }
    const look = await run(['gc', '--dry-run'], { environment })
    assert.match(look.out, /A sweep would remove:\n +1 {2}blobs\n +17 {2}bytes freed/)
    assert.equal(look.err, '')
    const watched = await run(['gc', '--dry-run'], { environment, isTerminal: true })
    assert.equal(watched.out, look.out)
    assert.ok(watched.err.includes(`${'░'.repeat(30)}   0 %  what may have lost its last use\r\u001b[2K`), watched.err)
    assert.equal((await stored()).length, 1)
    const real = await run(['gc'], { environment })
    assert.equal(real.code, 0)
    assert.match(real.out, /Removed:\n +1 {2}blobs\n +17 {2}bytes freed/)
    assert.deepEqual(await stored(), [])
    assert.equal(await server.stop(), 0)
  })

  it('refuses a store in memory, which only its own server has', async () => {
    const { code, err } = await run(['gc'], { environment: { BERTH_STORAGE_KIND: 'memory' } })
    assert.equal(code, 2)
    assert.match(err, /in memory/)
  })
})

describe('berth serve', () => {
  it('sweeps by itself in a process beside it, says so in one line, and stops with it', async () => {
    const server = await startServer(hasty)
    await pushBlob(server.port, 'nobody names this either')
    await until(async () => (await stored()).length === 0)
    await until(() => /"message":"swept".*"blobs":1/.test(server.printed()))
    assert.equal(await server.stop(), 0)
  })

  it('sweeps a store in memory in its own process', async () => {
    const server = await startServer({ ...hasty, BERTH_STORAGE_KIND: 'memory' })
    await pushBlob(server.port, 'nor this')
    await until(() => /"message":"swept".*"blobs":1/.test(server.printed()))
    assert.equal(await server.stop(), 0)
  })
})
