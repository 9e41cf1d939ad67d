/**
 * Servers that are killed at a random moment of each of 200 pushes of crane (`PUSHES`): each is done again and succeeds, and all that was acknowledged is there. CI runs it
 * (`node --test test/faults/kills.proof.ts`), because it needs crane.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../clients/port.ts'
import { createImage, type Layout } from '../clients/layout.ts'
import { attempt, type Daemon, startDaemon, waitUntilReady } from '../clients/process.ts'
import { assertServes } from '../clients/served.ts'

const pushes = Number(process.env['PUSHES'] ?? 200)
const lanes = 3

/** A server that can be killed and comes back on its port. */
async function startVictim(folder: string) {
  const port = await freePort()
  const env = {
    BERTH_HTTP_PORT: String(port),
    BERTH_PULSE_PORT: '0',
    BERTH_STORAGE_FILESYSTEM_ROOT: folder,
    // It starts two hundred times: only what pushes need, and compiled once.
    BERTH_SWEEP_ENABLED: 'false',
    NODE_COMPILE_CACHE: `${folder}-compiled`,
  }
  const url = `http://127.0.0.1:${port}`
  let daemon: Daemon
  const start = async (): Promise<void> => {
    daemon = startDaemon(process.execPath, [resolve('bin/berth.js'), 'serve'], { env })
    await waitUntilReady('Berth', daemon, async () => (await fetch(`${url}/v2/`)).ok)
  }
  await start()
  return {
    address: `127.0.0.1:${port}`,
    url,
    stop: () => daemon.stop(),
    async killAndStart(): Promise<void> {
      daemon.kill('SIGKILL')
      await daemon.stop()
      await start()
    },
  }
}

describe('a server that is killed while crane pushes', { concurrency: lanes }, () => {
  for (let lane = 0; lane < lanes; lane++) {
    it(`has every push after its retry, and all that was acknowledged (${lane + 1} of ${lanes})`, async (t) => {
      const scratch = await mkdtemp(join(tmpdir(), 'berth-kills-'))
      const victim = await startVictim(join(scratch, 'store'))
      const crane = (layout: Layout, tag: string) => {
        const args = ['--insecure', 'push', layout.folder, `${victim.address}/kills/lane:${tag}`]
        return attempt('crane', args, { env: { HOME: scratch } })
      }
      try {
        const kept: (readonly [string, Layout])[] = []
        let again = 0
        const beganAt = performance.now()
        assert.equal((await crane(await createImage(join(scratch, 'quiet'), [200_000, 1000]), 'quiet')).code, 0)
        const pushMs = performance.now() - beganAt
        for (let number = lane; number < pushes; number += lanes) {
          const layout = await createImage(join(scratch, `image-${number}`), [200_000, 1000])
          const pushing = crane(layout, `t${number}`)
          await sleep(Math.random() * pushMs)
          await victim.killAndStart()
          const first = await pushing
          if (first.code !== 0) {
            again++
            const { code, stderr } = await crane(layout, `t${number}`)
            assert.equal(code, 0, stderr)
          }
          kept.push([`t${number}`, layout])
        }
        const registry = { ...victim, pid: -1, output: () => '' }
        for (const [tag, layout] of kept) await assertServes(registry, 'kills/lane', tag, layout)
        t.diagnostic(`kills: ${kept.length} pushes, ${again} of them done again`)
      } finally {
        await victim.stop()
        await rm(scratch, { recursive: true, force: true })
      }
    })
  }
})
