/** The process beside a server: nobody waits for it, so it must not take the processor from those who are waited for. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { getPriority } from 'node:os'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readTree } from '../mixed/processes.ts'
import { makeEnvironment, startServer } from './server.ts'

/** SCHED_IDLE, sched(7). */
const idlePolicy = 5
const lowest = 19

/** How the threads of a process are run, each as policy and nice value. proc(5), `stat`. */
async function readThreads(pid: number): Promise<readonly { readonly policy: number; readonly nice: number }[]> {
  const threads = await readdir(`/proc/${pid}/task`)
  // Some may end meanwhile.
  const texts = await Promise.allSettled(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8')))
  return texts.flatMap((text) => {
    if (text.status === 'rejected') return []
    // Behind the name, which may have spaces, fields count from the third.
    const fields = text.value
      .slice(text.value.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    return [{ policy: fields[41 - 3] ?? -1, nice: fields[19 - 3] ?? 0 }]
  })
}

/** Waits for what a process that runs only when nothing else wants to has to do first. */
async function until<T>(find: () => Promise<T | undefined>): Promise<T> {
  for (const end = performance.now() + 30_000; performance.now() < end; await sleep(20)) {
    const found = await find()
    if (found !== undefined) return found
  }
  throw new Error('it did not come true')
}

const skip = process.platform === 'linux' ? false : 'priorities are read from /proc'

it('the sweeper runs when nothing else wants to, with all its threads', { skip }, async (t) => {
  const server = await startServer(t, { ...(await makeEnvironment(t)), BERTH_SWEEP_ENABLED: 'true' })
  const findSweeper = async () => (await readTree(server.pid)).find(({ kind }) => kind === 'sweeper')
  const { pid } = await until(findSweeper)
  const hasPolicies = spawnSync('chrt', ['-p', String(process.pid)]).status === 0
  await until(async () => {
    const threads = await readThreads(pid)
    const isBehind = hasPolicies
      ? threads.every(({ policy }) => policy === idlePolicy)
      : threads.some(({ nice }) => nice === lowest)
    return isBehind || undefined
  })
  assert.ok(
    (await readThreads(server.pid)).every(({ policy, nice }) => policy !== idlePolicy && nice === getPriority()),
  )
})
