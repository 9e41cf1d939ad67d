/** The handle of the load generator, and of `wrk`: two ways to make load, both in processes of their own. */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import type { Done, Job } from './jobs.ts'
import { replySchema } from './jobs.ts'
import { parseWrk, type WrkOutcome } from './wrk-output.ts'

export interface Generator {
  readonly run: (job: Job) => Promise<Done>
  readonly stop: () => void
}

export function startGenerator(): Generator {
  const child = fork(join(import.meta.dirname, 'generator.ts'))
  let settle: ((message: unknown) => void) | undefined
  child.on('message', (message) => settle?.(message))
  child.on('exit', () => settle?.({ kind: 'failed', message: 'the load generator has ended' }))
  return {
    stop: () => child.kill(),
    run: async (job) => {
      const answered = new Promise<unknown>((resolve) => (settle = resolve))
      child.send(job)
      const reply = v.parse(replySchema, await answered)
      if (reply.kind === 'failed') throw new Error(reply.message)
      return reply
    },
  }
}

export interface WrkJob {
  readonly url: string
  readonly connections: number
  readonly ms: number
  readonly headers: Readonly<Record<string, string>>
}

/** GET of one URL; stopped by SIGINT, because wrk counts whole seconds only. It cannot do HEAD: it waits for the body. */
export async function runWrk({ url, connections, ms, headers }: WrkJob): Promise<WrkOutcome> {
  const fields = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
  const options = ['--threads=1', `--connections=${connections}`, '--duration=600s', '--latency', ...fields]
  const child = spawn('wrk', [...options, url], { stdio: ['ignore', 'pipe', 'inherit'] })
  const output: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
  const closed = once(child, 'close')
  await Promise.race([sleep(ms), closed])
  child.kill('SIGINT')
  await closed
  return parseWrk(Buffer.concat(output).toString())
}
