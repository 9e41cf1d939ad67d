/**
 * The README's start command in a fresh clone, as somebody meets Berth for the first time: no configuration, what is said on a terminal, a
 * first push, pull and run by docker, a stop, and everything still there afterwards. Needs the sandbox of `.ci/run`, which also says where the
 * clone is (`FIRST_START_FOLDER`) and what starts it (`FIRST_START_COMMAND`).
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createBuildContext, startEngine } from './engine.ts'
import type { Engine } from './engine.ts'
import { run, startDaemon, waitUntilReady } from './process.ts'
import type { Daemon } from './process.ts'
import { createScratch } from './scratch.ts'

const folder = process.env['FIRST_START_FOLDER'] ?? ''
const command = process.env['FIRST_START_COMMAND'] ?? 'npm start'
const image = '127.0.0.1:5000/team/hello:1'

describe('a first start', () => {
  const scratch = createScratch()
  let engine: Engine

  before(async () => {
    assert.notEqual(folder, '', 'FIRST_START_FOLDER is the fresh clone')
    engine = await startEngine(join(scratch, 'engine'))
  })
  after(() => engine.stop())

  it('says on a terminal where Berth listens, where data goes and what to type', async () => {
    // `script` gives the command a terminal.
    const daemon = startDaemon('script', ['--quiet', '--return', '--command', command, '/dev/null'], settings())
    try {
      // The first worker answers before the last one is up, and only then is it said.
      const expected = ['http://127.0.0.1:5000', join(folder, 'data'), 'docker push 127.0.0.1:5000/']
      await waitUntilReady(expected.join(', '), daemon, async () =>
        expected.every((text) => daemon.output().includes(text)),
      )
      await untilItAnswers(daemon)
    } finally {
      await daemon.stop()
    }
    await untilPortIsFree()
  })

  it('takes a first push, and a pull and run after the image was removed and Berth was started again', async () => {
    const context = await createBuildContext(join(scratch, 'hello'), 'hello', [randomBytes(1024 * 1024)])
    const daemon = startDaemon('sh', ['-c', `exec ${command}`], settings())
    await untilItAnswers(daemon)
    await engine.docker('build', '--tag', image, context)
    await engine.docker('push', image)
    await access(join(folder, 'data', 'berth'))
    assert.equal((await fetch('http://127.0.0.1:5001/readyz')).status, 200)
    await daemon.stop()
    await untilPortIsFree()

    await engine.docker('image', 'rm', image)
    await engine.docker('image', 'prune', '--all', '--force')
    const again = startDaemon('sh', ['-c', `exec ${command}`], settings())
    await untilItAnswers(again)
    await engine.docker('pull', image)
    assert.equal(await engine.docker('run', '--rm', '--network=none', image), 'hello')
    await again.stop()
    await untilPortIsFree()
  })

  it('has the command line of the README', async () => {
    assert.match(await run('npx', ['berth', 'config', 'check'], settings()), /./)
    assert.match(await run('npx', ['berth', 'help'], settings()), /serve/)
  })

  /** The machine's own Node.js and no settings: what `.ci/run` and this test have put in front must not help. */
  function settings(): { readonly cwd: string; readonly env: Record<string, string> } {
    const path = (process.env['PATH'] ?? '').split(':').filter((entry) => !entry.includes('node_modules'))
    return { cwd: folder, env: { PATH: path.join(':'), HOME: scratch } }
  }
})

async function untilItAnswers(daemon: Daemon): Promise<void> {
  await waitUntilReady(command, daemon, async () => (await fetch('http://127.0.0.1:5000/v2/')).ok)
}

/** A stop of `npm start` must stop Berth, not only npm. */
async function untilPortIsFree(): Promise<void> {
  const deadline = Date.now() + 5_000
  while (Date.now() < deadline) {
    const answers = await fetch('http://127.0.0.1:5000/v2/').then(
      () => true,
      () => false,
    )
    if (!answers) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.fail('Berth still answers five seconds after its command was stopped')
}
