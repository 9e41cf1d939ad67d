/**
 * Starts workers with `node:cluster`: the started process takes the connections of a port and hands them to its workers in turn. It also does what Node
 * leaves undone when a worker ends with a connection on its way to it: nobody would close that connection, and nobody hear that the worker is gone.
 */
import type { ChildProcess } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import type { Child, Surroundings } from './command.ts'

/** Why a process ended, in words. */
export function describeEnd(code: number | null, killer: string | null): string {
  return killer === null ? `exit code ${code}` : `killed by ${killer}`
}

/**
 * What a process holds is its buffers, and what it has dropped and not yet given back. Measured with 64 uploads and 64 downloads at once, two
 * workers: 550 MiB in all without these, with a budget of 16 MiB for buffers or of 64; 400 MiB with them and 32 (`npm run bench:crowd`).
 */
export const thrift = {
  /**
   * MiB: dropped chunks of sockets go when the young objects are looked through, so that is done more often. Percent: a heap that is let grow once, to twice of what it
   * holds after a quiet minute, keeps the pages for as long as there is work (decision 21).
   */
  execArgv: ['--max-semi-space-size=4', '--heap-growing-percent=40'],
  /** Bytes: glibc gives a larger buffer back to the system when it is freed, and does not learn to keep it. Others ignore this. mallopt(3). */
  env: { MALLOC_MMAP_THRESHOLD_: '131072' },
} as const

/** `program` is what the workers run. */
export function createWorkerStarter(program: string): Surroundings['startWorker'] {
  return (args, onMessage) => {
    cluster.setupPrimary({
      exec: program,
      args: [...args],
      execArgv: [...process.execArgv, ...thrift.execArgv],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // JSON has no NaN, which is what an average of nothing is.
      serialization: 'advanced',
    })
    const worker = cluster.fork(thrift.env)
    const child = worker.process
    worker.on('message', onMessage)
    // A message that did not arrive: it has ended, which `ended` says.
    worker.on('error', () => undefined)
    const connections = watchConnections(child)
    let isDisconnected = false
    child.once('disconnect', () => (isDisconnected = true))
    const ended = waitForEnd(child).then((end) => {
      for (const connection of connections.values()) connection.close()
      if (!isDisconnected) child.emit('disconnect')
      return end
    })
    return {
      pid: child.pid ?? 0,
      tell: (message) => void worker.send(message, () => undefined),
      ended,
      kill: () => void child.kill('SIGKILL'),
    }
  }
}

/** Resolves when the process is gone and all that it said has been heard, or when it could not be started. */
async function waitForEnd(child: ChildProcess): Promise<Awaited<Child['ended']>> {
  if (child.pid === undefined) {
    const [error] = await once(child, 'error').catch((error: unknown) => [error])
    return { reason: `it could not be started: ${String(error)}`, wasKilled: false }
  }
  await new Promise((resolve) => {
    child.once('close', resolve)
  })
  const { exitCode, signalCode } = child
  return { reason: describeEnd(exitCode, signalCode), wasKilled: signalCode !== null }
}

interface Connection {
  readonly close: () => void
}

/** Knows the connections that were sent to a worker and not yet taken or refused by it. */
function watchConnections(child: ChildProcess): ReadonlyMap<unknown, Connection> {
  const underWay = new Map<unknown, Connection>()
  const send = child.send.bind(child)
  const watched = (...[message, handle, ...rest]: Parameters<typeof send>): boolean => {
    if (typeof message === 'object' && 'act' in message && message.act === 'newconn' && 'seq' in message) {
      if (handle !== undefined && 'close' in handle) underWay.set(message.seq, { close: () => void handle.close() })
    }
    return send(message, handle, ...rest)
  }
  Object.assign(child, { send: watched })
  child.on('internalMessage', (message: unknown) => {
    if (typeof message === 'object' && message !== null && 'ack' in message) underWay.delete(message.ack)
  })
  return underWay
}
