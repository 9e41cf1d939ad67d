#!/usr/bin/env node
/** The process: hands its arguments, environment and signals to the command line. The only place that touches them, or ends the process. */
import { fork } from 'node:child_process'
import cluster from 'node:cluster'
import { availableParallelism, setPriority } from 'node:os'
import { runCommandLine } from './cli/command-line.ts'
import type { Child, Surroundings } from './cli/command.ts'

const stopSignals = ['SIGINT', 'SIGTERM'] as const

const program = process.argv[1] ?? import.meta.filename

/** Of the 19 steps below normal: what runs beside a server goes on only when nobody waits. */
const lowPriority = 19

const neverWoken = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

/** Threads that wait for the disk in a process beside a server: each can keep a processor from it. */
const threadsBeside = 2

// Whoever read our output may leave early (`berth help | head`); that must not stop a server.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)

const runBeside: Surroundings['runBeside'] = (args, onMessage, signal) =>
  new Promise((resolve) => {
    const child = fork(program, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, UV_THREADPOOL_SIZE: String(threadsBeside) },
    })
    const stop = (): void => void child.kill('SIGTERM')
    const end = (reason: string): void => {
      signal.removeEventListener('abort', stop)
      resolve(reason)
    }
    signal.addEventListener('abort', stop)
    child.on('message', onMessage)
    child.once('error', (error) => end(error.message))
    child.once('exit', (code, killer) => end(describeEnd(code, killer)))
    if (signal.aborted) stop()
  })

const describeEnd = (code: number | null, killer: string | null): string =>
  killer === null ? `exit code ${code}` : `killed by ${killer}`

/**
 * What a worker holds is its buffers, and what it has dropped and not yet given back. Measured with 64 uploads and 64 downloads at once, two
 * workers: 550 MiB in all without these, with a budget of 16 MiB for buffers or of 64; 400 MiB with them and 32 (`npm run bench:crowd`).
 */
const thrift = {
  /** MiB: dropped chunks of sockets go when the young objects are looked through, so that is done more often. */
  execArgv: ['--max-semi-space-size=4'],
  /** Bytes: glibc gives a larger buffer back to the system when it is freed, and does not learn to keep it. Others ignore this. mallopt(3). */
  env: { MALLOC_MMAP_THRESHOLD_: '131072' },
} as const

const startWorker: Surroundings['startWorker'] = (args, onMessage) => {
  cluster.setupPrimary({
    exec: program,
    args: [...args],
    execArgv: [...process.execArgv, ...thrift.execArgv],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // JSON has no NaN, which is what an average of nothing is.
    serialization: 'advanced',
  })
  const worker = cluster.fork(thrift.env)
  worker.on('message', onMessage)
  const ended = Promise.withResolvers<Awaited<Child['ended']>>()
  // What it said last may arrive after its exit, but before the channel ends.
  const silent = new Promise<void>((resolve) => {
    worker.once('disconnect', resolve)
  })
  worker.once('exit', (code, killer: string | null) => {
    void silent.then(() => ended.resolve({ reason: describeEnd(code, killer), wasKilled: killer !== null }))
  })
  worker.once('error', (error) => ended.resolve({ reason: error.message, wasKilled: false }))
  return {
    pid: worker.process.pid ?? 0,
    // It may have ended a moment ago, which `ended` says.
    tell: (message) => void worker.send(message, () => undefined),
    ended: ended.promise,
    kill: () => void worker.process.kill('SIGKILL'),
  }
}

const exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  isTerminal: process.stdout.isTTY,
  onStop: (listener) => {
    for (const signal of stopSignals) process.on(signal, listener)
    return () => {
      for (const signal of stopSignals) process.off(signal, listener)
    }
  },
  runBeside,
  processors: availableParallelism(),
  startWorker,
  onUncaught: (listener) => {
    // Of rejections that nobody handled, too.
    process.on('uncaughtException', listener)
    return () => process.off('uncaughtException', listener)
  },
  parent: {
    tell: (message) =>
      new Promise((resolve) => {
        if (process.send === undefined) resolve()
        else process.send(message, undefined, undefined, () => resolve())
      }),
    onMessage: (listener) => void process.on('message', listener),
    onGone: (listener) => void process.once('disconnect', listener),
  },
  background: {
    lowerPriority: () => setPriority(lowPriority),
    usedMs: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
    pause: (ms) => void Atomics.wait(neverWoken, 0, 0, ms),
  },
})
process.exit(exitCode)
